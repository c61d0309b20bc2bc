/* Names of output files as a stranger spells them. Pure. */
#ifndef KEXEC_BACKENDS_KAGGLE_NAME_H
#define KEXEC_BACKENDS_KAGGLE_NAME_H

/* NULL where it may be a path below output/; else why not, in a few words. */
const char *output_name_problem(const char *name);

#endif
