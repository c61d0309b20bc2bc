/* The FUSE operations: each takes a request apart, asks walk.h or files.h, and answers. */
#ifndef KEXEC_MOUNT_OPS_H
#define KEXEC_MOUNT_OPS_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

extern const struct fuse_lowlevel_ops kexec_ops;

#endif
