#include "fs/mount/nodes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Inode of a slot: bit 63, 31 bits of generation, 32 bits of slot. */
static uint64_t slot_ino(uint32_t slot, uint32_t generation)
{
	return NODE_STORED | (uint64_t)(generation & 0x7fffffff) << 32 | slot;
}

static struct shared_node *node_of(struct mount *m, uint64_t ino)
{
	uint32_t slot = (uint32_t)ino;

	if (!(ino & NODE_STORED) || slot >= SHARED_NODES)
		return NULL;
	struct shared_node *n = &m->shared->node[slot];

	return (n->flags & NODE_USED) && slot_ino(slot, n->generation) == ino ? n : NULL;
}

uint64_t nodes_name_key(uint64_t parent, const char *name)
{
	uint64_t h = 0xcbf29ce484222325ULL ^ parent; /* FNV-1a, started with the parent */

	h *= 0x100000001b3ULL;
	for (; *name; name++) {
		h ^= (unsigned char)*name;
		h *= 0x100000001b3ULL;
	}
	h ^= h >> 32;
	return h ? h : 1;
}

static uint32_t *bucket_of(struct mount *m, uint64_t parent, const char *name)
{
	return &m->shared->bucket[nodes_name_key(parent, name) % SHARED_BUCKETS];
}

static struct shared_node *find(struct mount *m, uint64_t parent, const char *name, uint32_t *slot)
{
	for (uint32_t at = *bucket_of(m, parent, name); at; at = m->shared->node[at - 1].next) {
		struct shared_node *n = &m->shared->node[at - 1];

		if (n->parent == parent && strcmp(n->name, name) == 0) {
			*slot = at - 1;
			return n;
		}
	}
	return NULL;
}

static void chain_in(struct mount *m, uint32_t slot)
{
	struct shared_node *n = &m->shared->node[slot];
	uint32_t *head = bucket_of(m, n->parent, n->name);

	n->next = *head;
	__atomic_store_n(head, slot + 1, __ATOMIC_RELEASE);
}

static void chain_out(struct mount *m, uint32_t slot)
{
	struct shared_node *n = &m->shared->node[slot];
	uint32_t *link = bucket_of(m, n->parent, n->name);

	while (*link && *link != slot + 1)
		link = &m->shared->node[*link - 1].next;
	if (*link)
		__atomic_store_n(link, n->next, __ATOMIC_RELEASE);
}

/* A server that dies in here loses at most the slot. */
static int slot_new(struct mount *m, uint32_t *slot)
{
	struct shared *s = m->shared;

	if (s->node_free) {
		*slot = s->node_free - 1;
		s->node_free = s->node[*slot].next;
		return 0;
	}
	if (s->node_top >= SHARED_NODES)
		return -ENFILE;
	*slot = s->node_top++;
	return 0;
}

static uint64_t root_of(struct mount *m, uint64_t parent)
{
	const struct shared_node *n = node_of(m, parent);

	return n ? n->root : parent;
}

int nodes_take(struct mount *m, uint64_t parent, const char *name, uint64_t *ino)
{
	uint32_t slot;
	int r = 0;

	if (strlen(name) >= SHARED_NAME)
		return -ENAMETOOLONG;
	pthread_mutex_lock(&m->nodes);
	struct shared_node *n = find(m, parent, name, &slot);

	if (!n && (r = slot_new(m, &slot)) == 0) {
		n = &m->shared->node[slot];
		n->parent = parent;
		n->root = root_of(m, parent);
		n->lookups = 0;
		n->generation = (n->generation + 1) & 0x7fffffff;
		snprintf(n->name, sizeof(n->name), "%s", name);
		n->flags = NODE_USED;
		chain_in(m, slot);
		/* A stored parent is held by its children: their paths go through it. */
		struct shared_node *p = node_of(m, parent);

		if (p)
			p->lookups++;
	}
	if (n) {
		n->lookups++;
		*ino = slot_ino(slot, n->generation);
	}
	pthread_mutex_unlock(&m->nodes);
	return r;
}

int nodes_find(struct mount *m, uint64_t parent, const char *name, uint64_t *ino)
{
	uint32_t slot;

	pthread_mutex_lock(&m->nodes);
	struct shared_node *n = find(m, parent, name, &slot);

	if (n)
		*ino = slot_ino(slot, n->generation);
	pthread_mutex_unlock(&m->nodes);
	return n ? 0 : -ENOENT;
}

/* Free upwards: a directory that only its child held goes with it. */
static void free_if_unused(struct mount *m, uint64_t ino)
{
	struct shared_node *n;

	while ((n = node_of(m, ino)) != NULL && n->lookups == 0) {
		uint64_t parent = n->parent;
		uint32_t slot = (uint32_t)ino;

		if (!(n->flags & NODE_DETACHED))
			chain_out(m, slot);
		n->flags = 0;
		n->next = m->shared->node_free;
		m->shared->node_free = slot + 1;
		n = node_of(m, parent);
		if (n && n->lookups)
			n->lookups--;
		ino = parent;
	}
}

void nodes_drop(struct mount *m, uint64_t ino, uint64_t count, bool *gone, bool *detached)
{
	*gone = *detached = false;
	pthread_mutex_lock(&m->nodes);
	struct shared_node *n = node_of(m, ino);

	if (n) {
		n->lookups -= count < n->lookups ? count : n->lookups;
		*gone = n->lookups == 0;
		*detached = n->flags & NODE_DETACHED;
		free_if_unused(m, ino);
	}
	pthread_mutex_unlock(&m->nodes);
}

int nodes_where(struct mount *m, uint64_t ino, uint64_t *parent, char name[SHARED_NAME], bool *detached)
{
	pthread_mutex_lock(&m->nodes);
	const struct shared_node *n = node_of(m, ino);

	if (n) {
		*parent = n->parent;
		memcpy(name, n->name, SHARED_NAME);
		*detached = n->flags & NODE_DETACHED;
	}
	pthread_mutex_unlock(&m->nodes);
	return n ? 0 : -ESTALE;
}

int nodes_path(struct mount *m, uint64_t ino, char *path, size_t size, uint64_t *root, bool *detached)
{
	size_t at = size - 1;
	int r = 0;

	*detached = false;
	path[at] = '\0';
	pthread_mutex_lock(&m->nodes);
	while (ino & NODE_STORED) {
		const struct shared_node *n = node_of(m, ino);

		if (!n) {
			r = -ESTALE;
			break;
		}
		size_t len = strlen(n->name);

		*detached |= (n->flags & NODE_DETACHED) != 0;
		if (len + 1 > at) {
			r = -ENAMETOOLONG;
			break;
		}
		if (path[at])
			path[--at] = '/';
		at -= len;
		memcpy(path + at, n->name, len);
		ino = n->parent;
	}
	pthread_mutex_unlock(&m->nodes);
	memmove(path, path + at, size - at);
	*root = ino;
	return r;
}

static void detach(struct mount *m, uint32_t slot)
{
	chain_out(m, slot);
	m->shared->node[slot].flags |= NODE_DETACHED;
}

void nodes_detach(struct mount *m, uint64_t parent, const char *name)
{
	uint32_t slot;

	pthread_mutex_lock(&m->nodes);
	if (find(m, parent, name, &slot))
		detach(m, slot);
	pthread_mutex_unlock(&m->nodes);
}

void nodes_move(struct mount *m, uint64_t parent, const char *name, uint64_t to, const char *to_name)
{
	uint32_t slot, other;

	pthread_mutex_lock(&m->nodes);
	struct shared_node *n = find(m, parent, name, &slot);

	if (n) {
		if (find(m, to, to_name, &other) && other != slot)
			detach(m, other);
		struct shared_node *p = node_of(m, to);

		if (p)
			p->lookups++;
		chain_out(m, slot);
		n->parent = to;
		n->root = root_of(m, to);
		snprintf(n->name, sizeof(n->name), "%s", to_name);
		chain_in(m, slot);
		p = node_of(m, parent);
		if (p && p->lookups)
			p->lookups--;
		free_if_unused(m, parent);
	} else if (find(m, to, to_name, &other)) {
		detach(m, other);
	}
	pthread_mutex_unlock(&m->nodes);
}
