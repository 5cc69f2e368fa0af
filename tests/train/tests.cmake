add_executable(check_recipe ${CMAKE_CURRENT_LIST_DIR}/check_recipe.c)
target_link_libraries(check_recipe PRIVATE diopter_static)
