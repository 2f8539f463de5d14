/* A value that is made on first use, by whichever thread comes first, and never changes again. */
#ifndef RC_LAZY_H
#define RC_LAZY_H

#include <Python.h>

/* Borrowed, or NULL where nobody has made it yet. Acquire: the object's content was written before the pointer. */
static inline void *rc_lazy_get(void **slot) { return __atomic_load_n(slot, __ATOMIC_ACQUIRE); }

/* Returns the one that is kept, borrowed: `made` (the slot then has a count of its own), or a faster thread's. */
static inline void *rc_lazy_set(void **slot, PyObject *made)
{
    void *kept = NULL;
    if (__atomic_compare_exchange_n(slot, &kept, (void *)made, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        Py_INCREF(made); /* the caller's count keeps it alive meanwhile */
        return made;
    }
    return kept;
}

static inline void rc_lazy_clear(void **slot)
{
    PyObject *held = (PyObject *)*slot;
    *slot = NULL;
    Py_XDECREF(held);
}

/* For records: their objects are given up under the GIL, or with a thread state. */
static void rc_drop_parsed(void *parsed) { Py_DECREF((PyObject *)parsed); }

#endif
