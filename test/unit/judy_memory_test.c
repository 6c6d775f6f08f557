#include <Judy.h>
#include <dlfcn.h>

#include "check.h"

/* What the library finds under that name is this program's, not its own. */
Test(judy_memory, the_library_asks_this_program_for_memory)
{
    static const char here;
    Dl_info found, own;
    void *malloc_of_judy = dlsym(RTLD_DEFAULT, "JudyMalloc"), *free_of_judy = dlsym(RTLD_DEFAULT, "JudyFree");

    cr_assert_neq(dladdr(&here, &own), 0);
    cr_assert_neq(dladdr(malloc_of_judy, &found), 0);
    cr_assert_eq(found.dli_fbase, own.dli_fbase);
    cr_assert_neq(dladdr(free_of_judy, &found), 0);
    cr_assert_eq(found.dli_fbase, own.dli_fbase);
}

Test(judy_memory, an_array_takes_and_returns_it)
{
    void *array = NULL;

    for (Word_t i = 0; i < 10000; i++)
        *JudyLIns(&array, i * 0x9e3779b97f4a7c15, PJE0) = &array;
    cr_assert_gt(JudyLFreeArray(&array, PJE0), 80000);
}
