/* The tables of kexec.db, as steps from one version to the next. Private to store.c. */
#ifndef KEXEC_ENGINE_SCHEMA_H
#define KEXEC_ENGINE_SCHEMA_H

/* schema_steps[v] leads from user_version v to v + 1: scripts, NULL-terminated. */
extern const char *const *const schema_steps[];

#endif
