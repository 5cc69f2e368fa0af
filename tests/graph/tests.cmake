# Not a test: whole networks through inference plans, the default path beside the exact one.
add_executable(bench_net ${CMAKE_CURRENT_LIST_DIR}/bench_net.c)
target_link_libraries(bench_net PRIVATE diopter_static)
