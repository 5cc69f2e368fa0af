# Decodes one file; used with the hostile vectors (see the head of the file).
add_executable(check_pictures ${CMAKE_CURRENT_LIST_DIR}/check_pictures.c)
target_link_libraries(check_pictures PRIVATE diopter_static)
