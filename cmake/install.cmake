# What `cmake --install` lays out: the header, both libraries, the command with its manual page and bash completion, and the
# files by which CMake's find_package(senvec) and pkg-config find them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/senvec)
set_target_properties(senvec_shared PROPERTIES EXPORT_NAME senvec)
target_include_directories(senvec_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_include_directories(senvec_static INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(FILES include/senvec.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS senvec_shared senvec_static EXPORT senvec)
install(EXPORT senvec NAMESPACE senvec:: FILE senvecTargets.cmake DESTINATION ${package_directory})
if(SENVEC_TOOLS)
  install(TARGETS senvec)
  if(NOT CMAKE_CROSSCOMPILING)
    install(FILES ${CMAKE_BINARY_DIR}/programs/cli/senvec.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${CMAKE_BINARY_DIR}/programs/cli/senvec.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
            RENAME senvec)
  endif()
endif()

write_basic_package_version_file(senvecConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/senvecConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/senvecConfigVersion.cmake DESTINATION ${package_directory})

# Relative, so that the installed tree may be moved.
file(RELATIVE_PATH prefix_from_pkgconfig /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/senvec.pc.in senvec.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/senvec.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
