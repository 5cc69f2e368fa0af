# A program of its own for the hostile manifests.
add_executable(check_manifest ${CMAKE_CURRENT_LIST_DIR}/check_manifest.c)
target_link_libraries(check_manifest PRIVATE diopter_static)
add_test(NAME data/vectors COMMAND ${CMAKE_CURRENT_LIST_DIR}/vectors.sh $<TARGET_FILE:check_manifest> ${PROJECT_SOURCE_DIR})
set_tests_properties(data/vectors PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
