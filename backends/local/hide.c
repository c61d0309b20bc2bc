#include "backends/local/hide.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/local/spawn.h"

/* Relative to a home. Directories are covered whole, files one by one. */
static const char *const secrets[] = {
	".kaggle", ".config/kaggle", ".config/kexec", ".ssh", ".gnupg", ".pki",
	".aws", ".azure", ".boto", ".s3cfg", ".config/gcloud", ".config/rclone", ".kube", ".oci",
	".docker", ".config/containers", ".netrc", ".authinfo", ".pgpass", ".my.cnf", ".pypirc", ".npmrc",
	".cargo/credentials", ".cargo/credentials.toml", ".git-credentials", ".config/git/credentials",
	".config/gh", ".config/hub", ".config/glab-cli", ".huggingface", ".cache/huggingface/token",
	".cache/huggingface/stored_tokens", ".config/huggingface", ".config/wandb", ".runpod",
	".config/runpod", ".paperspace", ".config/paperspace", ".modal.toml", ".lambda_cloud",
	".anthropic", ".claude", ".claude.json", ".config/anthropic", ".openai", ".config/openai",
	".jupyter", ".local/share/jupyter/runtime", ".password-store", ".config/op",
	".local/share/keyrings", ".config/age", ".config/sops", ".mozilla", ".thunderbird",
	".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/microsoft-edge",
	".bash_history", ".zsh_history", ".python_history", ".ipython/profile_default/history.sqlite",
	".env", ".terraform.d", ".config/systemd/user.control", ".Xauthority", ".ICEauthority",
};

/* Variables that name a file or folder with credentials. */
static const char *const variables[] = {
	"KAGGLE_CONFIG_DIR", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
	"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "KUBECONFIG", "DOCKER_CONFIG", "NETRC",
	"HF_TOKEN_PATH", "GNUPGHOME", "XAUTHORITY", "PASSWORD_STORE_DIR",
};

void hide_add(struct argv *out, const char *path)
{
	char *real;

	if (!path || *path != '/')
		return;
	real = realpath(path, NULL);
	if (real && strcmp(real, "/"))
		argv_add(out, real);
	free(real);
}

void hide_home(struct argv *out, const char *home)
{
	char path[PATH_MAX];

	if (!home || *home != '/' || !home[1])
		return;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++)
		if (snprintf(path, sizeof(path), "%s/%s", home, secrets[i]) < (int)sizeof(path))
			hide_add(out, path);
}

void hide_environment(struct argv *out)
{
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		hide_add(out, getenv(variables[i]));
}
