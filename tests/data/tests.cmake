# Not a test by itself: a program for the hostile manifests (see test_vectors.c).
add_executable(check_manifest ${CMAKE_CURRENT_LIST_DIR}/check_manifest.c)
target_link_libraries(check_manifest PRIVATE diopter_static)
