# The robustness vectors and the comparisons with other readers run this program.
add_executable(check_weights ${CMAKE_CURRENT_LIST_DIR}/check_weights.c)
target_link_libraries(check_weights PRIVATE diopter_static)
