//! Variables by which a program can be made to run other code than its own: where a worker runs
//! listed programs only, tasks may set none of them. What else children see is in policy.rs.
//!
//! The table holds what loaders, libraries, interpreters and common programs document. No table can
//! know the variables of every program: whoever lists one that minds others, or one that runs what
//! its arguments or files say (`git`, `make`, `find`, `tar`, `python3`), lists what those can do.

/// Which names a row is about.
#[derive(Clone, Copy, Debug)]
enum Names {
    /// These.
    Are(&'static [&'static str]),
    /// All that begin with one of these.
    Begin(&'static [&'static str]),
}

use Names::{Are, Begin};

/// Names, and what such a variable does; the sentence reads on from "which".
const TABLE: &[(Names, &str)] = &[
    (Begin(&["LD_"]), "tells the loader which code to load"),
    (
        Are(&["GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH"]),
        "tells the C library what to load",
    ),
    (Are(&["GETCONF_DIR", "MALLOC_TRACE"]), "makes the C library start programs or write files"),
    (Are(&["PATH"]), "says which programs a program starts"),
    (Are(&["HOME"]), "says where programs look for what to run at their start"),
    (Begin(&["XDG_"]), "says where programs look for what to run at their start"),
    (Are(&["SHELL"]), "names the shell that programs start"),
    (Are(&["BASH_ENV", "ENV", "ZDOTDIR", "FPATH"]), "names what a shell runs first"),
    (
        Are(&["SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND"]),
        "makes a shell run more than its script",
    ),
    (Begin(&["BASH_FUNC_"]), "defines a function of a shell in place of a program"),
    (Are(&["IFS", "CDPATH", "GLOBIGNORE"]), "changes how a shell reads its script"),
    (Begin(&["PYTHON"]), "tells Python what to load and run"),
    (Begin(&["PERL"]), "tells Perl what to load and run"),
    (Begin(&["RUBY", "GEM_", "BUNDLE_"]), "tells Ruby what to load and run"),
    (Are(&["NODE_OPTIONS", "NODE_PATH"]), "tells Node.js what to load and run"),
    (Begin(&["NODE_REPL_", "NPM_CONFIG_", "npm_config_"]), "tells Node.js what to load and run"),
    (Are(&["CLASSPATH", "JAVA_HOME", "JAVA_OPTS"]), "tells Java what to load and run"),
    (
        Are(&["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"]),
        "tells Java what to load and run",
    ),
    (Begin(&["DOTNET_", "CORECLR_", "COMPlus_"]), "tells .NET what to load and run"),
    (Begin(&["MONO_"]), "tells .NET what to load and run"),
    (Begin(&["LUA_"]), "tells Lua what to load and run"),
    (Are(&["PHPRC", "PHP_INI_SCAN_DIR"]), "names settings of PHP, which say what it loads"),
    (Begin(&["R_"]), "tells R what to load and run"),
    (Begin(&["JULIA_"]), "tells Julia what to load and run"),
    (Begin(&["ERL_"]), "tells Erlang what to load and run"),
    (Begin(&["GUILE_"]), "tells Guile what to load and run"),
    (Begin(&["OCTAVE_"]), "tells Octave what to load and run"),
    (Are(&["TCLLIBPATH", "TCL_LIBRARY", "TK_LIBRARY"]), "tells Tcl what to load and run"),
    (Are(&["AWKPATH", "AWKLIBPATH"]), "tells awk what to load and run"),
    (Begin(&["EMACS"]), "tells Emacs what to load and run"),
    (Are(&["VIMINIT", "GVIMINIT", "EXINIT", "VIMRUNTIME"]), "tells an editor what to run"),
    (Are(&["EDITOR", "VISUAL", "PAGER", "BROWSER", "MANPAGER"]), "names what other programs start"),
    (Are(&["SYSTEMD_EDITOR", "SYSTEMD_PAGER"]), "names what other programs start"),
    (Are(&["LESS", "LESSOPEN", "LESSCLOSE", "LESSEDIT", "LESSKEY"]), "makes less start programs"),
    (Are(&["LESSKEYIN", "LESSKEY_CONTENT", "LESSKEYIN_SYSTEM"]), "makes less start programs"),
    (Begin(&["GIT_"]), "makes git start programs"),
    (Begin(&["HG"]), "makes Mercurial load and start programs"),
    (Are(&["CVS_RSH", "SVN_SSH"]), "names what a version control starts"),
    (Are(&["SSH_ASKPASS", "SUDO_ASKPASS"]), "names what other programs start"),
    (Are(&["RSYNC_RSH", "RSYNC_CONNECT_PROG", "RSH"]), "names what rsync or tar starts"),
    (
        Are(&["TAR_OPTIONS", "ZIPOPT", "WGETRC", "SYSTEM_WGETRC"]),
        "adds options that start programs",
    ),
    (Are(&["CURL_HOME", "RIPGREP_CONFIG_PATH"]), "names settings, which may start programs"),
    (Begin(&["FZF_"]), "makes fzf start programs"),
    (Begin(&["MAKE", "GNUMAKE"]), "makes make run other rules"),
    (Are(&["MFLAGS", "CC", "CXX", "AR", "LD"]), "names what a build starts"),
    (Begin(&["CMAKE_"]), "names what a build starts"),
    (Are(&["COMPILER_PATH", "GCC_EXEC_PREFIX"]), "says which programs a compiler starts"),
    (Begin(&["RUSTC", "RUSTDOC", "RUSTUP_", "CARGO_"]), "makes cargo start programs"),
    (Are(&["GOFLAGS", "GOTOOLCHAIN", "GOROOT", "GOENV"]), "makes go start programs"),
    (Begin(&["OPENSSL_"]), "tells OpenSSL what to load"),
    (Begin(&["GTK_", "GIO_", "GDK_PIXBUF_", "GST_"]), "tells a library of GNOME what to load"),
    (Begin(&["QT_", "QML", "KDE"]), "tells a library of KDE what to load"),
    (Begin(&["MAGICK_"]), "tells ImageMagick what to load and start"),
    (Are(&["GS_LIB", "GS_OPTIONS"]), "tells Ghostscript what to load and run"),
    (
        Are(&["FREI0R_PATH", "LADSPA_PATH", "LV2_PATH"]),
        "tells a filter of sound or video what to load",
    ),
    (Begin(&["LIBGL_", "LIBVA_", "VDPAU_", "VK_"]), "tells a library of graphics what to load"),
    (
        Begin(&["OCL_ICD_", "OPENCL_", "CUDA_INJECTION"]),
        "tells a library of computing what to load",
    ),
    (
        Begin(&["OMPI_MCA_", "PMIX_MCA_", "PRTE_MCA_"]),
        "tells a library of MPI what to load and start",
    ),
    (Begin(&["I_MPI_", "HYDRA_"]), "tells a library of MPI what to load and start"),
    (
        Are(&["GDAL_DRIVER_PATH", "GDAL_VRT_ENABLE_PYTHON", "HDF5_PLUGIN_PATH"]),
        "tells a library of data what to load",
    ),
    (Begin(&["ALSA_", "PULSE_"]), "tells a library of sound what to load and start"),
    (
        Are(&["ONEVPL_SEARCH_PATH", "NVTX_INJECTION64_PATH"]),
        "tells a library of video what to load",
    ),
    (Are(&["OMP_TOOL_LIBRARIES"]), "tells a library of computing what to load"),
    (
        Are(&["FI_PROVIDER_PATH", "UCX_MODULE_DIR", "OPAL_PREFIX"]),
        "tells a library of MPI what to load",
    ),
    (Begin(&["DBUS_"]), "names a bus, whose address may start programs"),
    (Begin(&["RCLONE_", "RESTIC_", "BORG_"]), "may hold a command that a copy program starts"),
    (
        Are(&["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "KUBECONFIG"]),
        "names settings, which may start programs",
    ),
    (Begin(&["CLOUDSDK_"]), "names settings, which may start programs"),
    (Are(&["EXIFTOOL_HOME", "GNUPGHOME"]), "names settings, which say what to load"),
    (Are(&["KRB5_CONFIG", "GSS_MECH_CONFIG"]), "names settings, which say what to load"),
    (Are(&["HTS_PATH", "BCFTOOLS_PLUGINS", "GVBINDIR"]), "tells a program where its plugins are"),
    (Are(&["TEXMFCNF", "shell_escape", "openout_any"]), "lets TeX start programs or write files"),
];

/// Says why a task may not set this variable where only listed programs run; nothing when it may.
pub(super) fn objection(key: &str) -> Option<String> {
    // A name that holds `=` would be another variable's in the program that starts.
    let odd = (key.is_empty() || key.contains(['=', '\0'])).then_some("is no name of a variable");
    let row = TABLE.iter().find(|(names, _)| names.hold(key));
    let does = odd.or(row.map(|(_, does)| *does))?;
    let shown: String = key.chars().filter(|c| !c.is_control()).take(64).collect();
    Some(format!(
        "this worker runs listed programs only, and `{shown}` could change what they do: it {does}; \
         submit the task without it"
    ))
}

impl Names {
    fn hold(self, key: &str) -> bool {
        match self {
            Are(names) => names.contains(&key),
            Begin(starts) => starts.iter().any(|start| key.starts_with(start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each with one that stands for what the row is there for.
    const SEEN: &str = "LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT LD_BIND_NOW GLIBC_TUNABLES GCONV_PATH \
        LOCPATH NLSPATH GETCONF_DIR MALLOC_TRACE PATH HOME XDG_CONFIG_HOME SHELL BASH_ENV ENV \
        ZDOTDIR FPATH SHELLOPTS BASHOPTS PS4 PROMPT_COMMAND BASH_FUNC_ls%% IFS CDPATH GLOBIGNORE \
        PYTHONPATH PYTHONSTARTUP PYTHONHOME PYTHONINSPECT PERL5OPT PERL5LIB PERLLIB PERL5DB RUBYOPT \
        RUBYLIB GEM_PATH BUNDLE_GEMFILE NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE \
        NPM_CONFIG_SCRIPT_SHELL npm_config_node_options CLASSPATH JAVA_HOME JAVA_OPTS \
        JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS DOTNET_STARTUP_HOOKS CORECLR_PROFILER_PATH \
        COMPlus_ALTJIT MONO_PATH LUA_INIT LUA_PATH_5_4 LUA_CPATH PHPRC PHP_INI_SCAN_DIR \
        R_PROFILE_USER R_LIBS JULIA_LOAD_PATH ERL_FLAGS GUILE_LOAD_PATH OCTAVE_PATH TCLLIBPATH \
        TCL_LIBRARY TK_LIBRARY AWKPATH AWKLIBPATH EMACSLOADPATH VIMINIT GVIMINIT EXINIT VIMRUNTIME \
        EDITOR VISUAL PAGER BROWSER MANPAGER SYSTEMD_EDITOR SYSTEMD_PAGER LESS LESSOPEN LESSCLOSE \
        LESSEDIT LESSKEY LESSKEYIN LESSKEY_CONTENT LESSKEYIN_SYSTEM \
        GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_CONFIG_COUNT GIT_EXEC_PATH HGRCPATH HGEDITOR CVS_RSH \
        SVN_SSH SSH_ASKPASS SUDO_ASKPASS RSYNC_RSH RSYNC_CONNECT_PROG RSH TAR_OPTIONS ZIPOPT WGETRC \
        SYSTEM_WGETRC CURL_HOME RIPGREP_CONFIG_PATH FZF_DEFAULT_COMMAND MAKEFLAGS MAKEFILES \
        GNUMAKEFLAGS MFLAGS CC CXX AR LD CMAKE_PREFIX_PATH COMPILER_PATH GCC_EXEC_PREFIX \
        RUSTC_WRAPPER RUSTDOC RUSTUP_TOOLCHAIN CARGO_BUILD_RUSTC GOFLAGS GOTOOLCHAIN GOROOT GOENV \
        OPENSSL_CONF OPENSSL_MODULES GTK_MODULES GIO_EXTRA_MODULES GDK_PIXBUF_MODULE_FILE \
        GST_PLUGIN_PATH QT_PLUGIN_PATH QML2_IMPORT_PATH KDEDIRS MAGICK_CONFIGURE_PATH GS_LIB \
        GS_OPTIONS FREI0R_PATH LADSPA_PATH LV2_PATH LIBGL_DRIVERS_PATH LIBVA_DRIVERS_PATH \
        VDPAU_DRIVER_PATH VK_ICD_FILENAMES OCL_ICD_VENDORS OPENCL_VENDOR_PATH \
        CUDA_INJECTION64_PATH OMPI_MCA_plm_rsh_agent PMIX_MCA_mca_base_component_path \
        PRTE_MCA_plm_rsh_agent I_MPI_HYDRA_BOOTSTRAP_EXEC HYDRA_LAUNCHER_EXEC GDAL_DRIVER_PATH \
        HDF5_PLUGIN_PATH GDAL_VRT_ENABLE_PYTHON ALSA_CONFIG_PATH PULSE_CLIENTCONFIG \
        ONEVPL_SEARCH_PATH NVTX_INJECTION64_PATH OMP_TOOL_LIBRARIES FI_PROVIDER_PATH UCX_MODULE_DIR \
        OPAL_PREFIX DBUS_SESSION_BUS_ADDRESS RCLONE_PASSWORD_COMMAND RESTIC_PASSWORD_COMMAND \
        BORG_PASSCOMMAND AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE KUBECONFIG CLOUDSDK_PYTHON \
        EXIFTOOL_HOME GNUPGHOME KRB5_CONFIG GSS_MECH_CONFIG HTS_PATH BCFTOOLS_PLUGINS GVBINDIR \
        TEXMFCNF shell_escape openout_any BASH_ENV=/tmp/x";

    #[test]
    fn each_variable_of_the_table_is_refused_with_its_reason() {
        for key in SEEN.split_whitespace() {
            let message = objection(key).unwrap_or_else(|| panic!("{key} passes"));
            assert!(
                message.contains(&format!("`{key}` could change what they do: it ")),
                "{message}"
            );
            assert!(message.ends_with("; submit the task without it"), "{message}");
        }
    }

    #[test]
    fn no_name_of_the_table_goes_untried() {
        let seen: Vec<&str> = SEEN.split_whitespace().collect();
        for (names, _) in TABLE {
            match names {
                Are(names) => {
                    let all = names.iter().all(|name| seen.contains(name));
                    assert!(all, "{names:?}");
                }
                Begin(starts) => {
                    let tried = |start: &&str| seen.iter().any(|key| key.starts_with(*start));
                    assert!(starts.iter().all(tried), "{starts:?}");
                }
            }
        }
    }

    #[test]
    fn what_programs_are_told_about_their_work_passes() {
        let passes = "LANG LC_ALL TZ TMPDIR OMP_NUM_THREADS CUDA_VISIBLE_DEVICES AWS_REGION \
            http_proxy NODE_ENV RUST_LOG LESSON ld_preload PATHS ENVIRONMENT HOMEPAGE X CCACHE_DIR";
        for key in passes.split_whitespace() {
            assert_eq!(objection(key), None, "{key}");
        }
    }

    #[test]
    fn an_odd_name_reaches_no_terminal() {
        let message = objection("LD_\u{1b}[2J\n").unwrap();
        assert!(!message.contains(['\u{1b}', '\n']), "{message}");
    }
}
