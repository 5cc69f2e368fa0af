# Flags shared by every target of the project, as one interface library.
add_library(diopter_flags INTERFACE)
target_compile_definitions(diopter_flags INTERFACE _GNU_SOURCE DIOPTER_VERSION="${PROJECT_VERSION}")
# Numbers must not depend on how a compiler contracts a*b+c: kernels say fma where they mean it.
target_compile_options(diopter_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -ffp-contract=off
  -fno-math-errno -fvisibility=hidden)
if(DIOPTER_WERROR)
  target_compile_options(diopter_flags INTERFACE -Werror)
endif()
if(DIOPTER_SANITIZE)
  target_compile_options(diopter_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(diopter_flags INTERFACE -fsanitize=address,undefined)
endif()
if(DIOPTER_FUZZ AND CMAKE_C_COMPILER_ID MATCHES Clang)
  target_compile_options(diopter_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
if(processor MATCHES "x86_64|amd64" AND NOT DIOPTER_PORTABLE_ONLY)
  set(DIOPTER_X86 ON)
else()
  set(DIOPTER_X86 OFF)
endif()
