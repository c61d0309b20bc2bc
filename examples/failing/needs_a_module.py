"""Fails on purpose: shows what kexec says of a module that is not installed.

    cp -r failing MOUNT/queue/ && cat MOUNT/latest/failing/wait
    cat MOUNT/latest/failing/state.json    error_type is missing_dep, resume_from is builder_model
    cat MOUNT/latest/failing/report.md     what happened and what to do
"""
print("reading the configuration of the model")
import a_module_that_nobody_has  # noqa: E402, F401
