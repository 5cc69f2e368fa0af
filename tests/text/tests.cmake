target_link_libraries(text_test_json PRIVATE PkgConfig::JANSSON)
