/* The one item of the slot's list. Cython's own list[0] borrows it for a moment, which a free-threaded writer may use to
   free it (seen: a crash within seconds); PyList_GetItemRef does not. */
#ifndef RC_CACHE_ITEM_H
#define RC_CACHE_ITEM_H

#include <Python.h>

static inline PyObject *rc_item_get(PyObject *list)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyList_GetItemRef(list, 0);
#else
    PyObject *item = PyList_GET_ITEM(list, 0);
    Py_INCREF(item);
    return item;
#endif
}

/* The caller keeps the item that was there alive, so that it is not freed in here. */
static inline int rc_item_set(PyObject *list, PyObject *item)
{
    Py_INCREF(item);
    return PyList_SetItem(list, 0, item);
}

#endif
