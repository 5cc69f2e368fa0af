# Runs a model over prepared numbers, for scripts that compare with PyTorch.
add_executable(model_logits ${CMAKE_CURRENT_LIST_DIR}/model_logits.c)
target_include_directories(model_logits PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(model_logits PRIVATE diopter_static)
