# Debian packages: libjpeg62-turbo-dev libpng-dev libstb-dev libopenblas-dev libyaml-dev libarchive-dev
# zlib1g-dev nettle-dev; for the tests libcmocka-dev libjansson-dev
find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(LibArchive REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(NETTLE REQUIRED IMPORTED_TARGET nettle)
# stb_image is a header; its include folder differs between distributions.
find_path(STB_INCLUDE_DIR NAMES stb_image.h stb/stb_image.h PATH_SUFFIXES stb REQUIRED)
if(DIOPTER_TESTS)
  pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
  if(NOT CMOCKA_FOUND)
    message(FATAL_ERROR "cmocka is missing; install libcmocka-dev or configure with -DDIOPTER_TESTS=OFF")
  endif()
  # The judge of our JSON reader.
  pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
endif()
