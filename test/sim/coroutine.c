#include "sim/coroutine.h"

#include <assert.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK_BYTES (256 * 1024)
#define GUARD_BYTES (64 * 1024) /* below it: whoever grows beyond the stack ends at once, and destroys nothing */

/* ---- What the sanitizers must be told of each switch ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TELLS_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define TELLS_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(TELLS_ASAN)
#define TELLS_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(TELLS_TSAN)
#define TELLS_TSAN 1
#endif

#ifdef TELLS_ASAN

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

static void tell_leaving(void **fake_stack, const void *stack, size_t size)
{
    __sanitizer_start_switch_fiber(fake_stack, stack, size);
}

static void tell_arrived(void *fake_stack, const void **from_stack, size_t *from_size)
{
    __sanitizer_finish_switch_fiber(fake_stack, from_stack, from_size);
}

/* What forgotten frames have poisoned must not stand in the way of the next user of the stack. */
static void tell_forgotten(void *stack)
{
    ASAN_UNPOISON_MEMORY_REGION(stack, STACK_BYTES);
}

#else

static void tell_leaving(void **fake_stack, const void *stack, size_t size)
{
    (void)fake_stack, (void)stack, (void)size;
}

static void tell_arrived(void *fake_stack, const void **from_stack, size_t *from_size)
{
    (void)fake_stack, (void)from_stack, (void)from_size;
}

static void tell_forgotten(void *stack)
{
    (void)stack;
}

#endif

#ifdef TELLS_TSAN

#include <sanitizer/tsan_interface.h>

static void *fiber_new(void)
{
    return __tsan_create_fiber(0);
}

static void fiber_free(void *fiber)
{
    __tsan_destroy_fiber(fiber);
}

static void *fiber_of_caller(void)
{
    return __tsan_get_current_fiber();
}

static void fiber_enter(void *fiber)
{
    __tsan_switch_to_fiber(fiber, 0);
}

#else

static void *fiber_new(void)
{
    return NULL;
}

static void fiber_free(void *fiber)
{
    (void)fiber;
}

static void *fiber_of_caller(void)
{
    return NULL;
}

static void fiber_enter(void *fiber)
{
    (void)fiber;
}

#endif

/* ---- Contexts ---- */

struct context {
    ucontext_t begin; /* where it begins, and with a sanitizer wherever it is left */
    jmp_buf left;
    bool has_begun;
};

#if defined(TELLS_ASAN) || defined(TELLS_TSAN)

static void context_switch(struct context *from, struct context *to)
{
    swapcontext(&from->begin, &to->begin);
}

#else

/* swapcontext asks the kernel for the mask of signals each time, which is most of what a switch costs. So a context is
 * only begun that way. */
static void context_go(struct context *to)
{
    if (to->has_begun)
        _longjmp(to->left, 1);
    to->has_begun = true;
    setcontext(&to->begin);
    abort();
}

static void context_switch(struct context *from, struct context *to)
{
    from->has_begun = true;
    if (_setjmp(from->left) == 0)
        context_go(to);
}

#endif

/* ---- Coroutines ---- */

struct coroutine {
    struct coroutine *next; /* in the stable */
    struct context inside, outside;
    void (*main)(void *context);
    void *context;
    bool ended;
    void *stack;

    /* The sanitizers': both sides' fake stacks and fibers, and where the outside's stack lies. */
    void *inside_fake, *outside_fake;
    void *inside_fiber, *outside_fiber;
    const void *outside_stack;
    size_t outside_size;
};

/* makecontext passes integers only: the pointer comes in two halves. */
static void enter(unsigned high, unsigned low)
{
    struct coroutine *coroutine = (struct coroutine *)((uintptr_t)high << 32 | (uintptr_t)low); // NOLINT

    tell_arrived(NULL, &coroutine->outside_stack, &coroutine->outside_size);
    coroutine->main(coroutine->context);
    coroutine->ended = true;
    tell_leaving(NULL, coroutine->outside_stack, coroutine->outside_size); /* NULL: never to come back */
    fiber_enter(coroutine->outside_fiber);
    context_switch(&coroutine->inside, &coroutine->outside);
    abort();
}

static void *stack_new(void)
{
    uint8_t *room = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert(room != MAP_FAILED);
    if (mprotect(room + GUARD_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) != 0)
        abort();
    return room + GUARD_BYTES;
}

static void stack_free(void *stack)
{
    munmap((uint8_t *)stack - GUARD_BYTES, GUARD_BYTES + STACK_BYTES);
}

static struct coroutine *coroutine_take(struct coroutine_stable *stable)
{
    struct coroutine *coroutine = stable->idle;

    if (coroutine != NULL) {
        stable->idle = coroutine->next;
        return coroutine;
    }
    coroutine = calloc(1, sizeof *coroutine);
    assert(coroutine != NULL);
    coroutine->stack = stack_new();
    return coroutine;
}

/* Apart from the rest, since getcontext counts as a function that returns twice. */
static void coroutine_prepare(struct coroutine *coroutine)
{
    ucontext_t *begin = &coroutine->inside.begin;

    getcontext(begin);
    begin->uc_stack.ss_sp = coroutine->stack;
    begin->uc_stack.ss_size = STACK_BYTES;
    begin->uc_link = NULL;
    coroutine->inside.has_begun = false;
    makecontext(begin, (void (*)(void))enter, 2, (unsigned)((uintptr_t)coroutine >> 32),
                (unsigned)(uintptr_t)coroutine);
}

struct coroutine *coroutine_new(struct coroutine_stable *stable, void (*main)(void *context), void *context)
{
    struct coroutine *coroutine = coroutine_take(stable);

    coroutine->main = main;
    coroutine->context = context;
    coroutine->ended = false;
    coroutine->inside_fiber = fiber_new();
    coroutine_prepare(coroutine);
    return coroutine;
}

void coroutine_free(struct coroutine_stable *stable, struct coroutine *coroutine)
{
    fiber_free(coroutine->inside_fiber);
    tell_forgotten(coroutine->stack);
    coroutine->next = stable->idle;
    stable->idle = coroutine;
}

void coroutine_stable_empty(struct coroutine_stable *stable)
{
    while (stable->idle != NULL) {
        struct coroutine *coroutine = stable->idle;

        stable->idle = coroutine->next;
        stack_free(coroutine->stack);
        free(coroutine);
    }
}

void coroutine_resume(struct coroutine *coroutine)
{
    assert(!coroutine->ended);
    coroutine->outside_fiber = fiber_of_caller();
    tell_leaving(&coroutine->outside_fake, coroutine->stack, STACK_BYTES);
    fiber_enter(coroutine->inside_fiber);
    context_switch(&coroutine->outside, &coroutine->inside);
    tell_arrived(coroutine->outside_fake, NULL, NULL);
}

void coroutine_yield(struct coroutine *coroutine)
{
    tell_leaving(&coroutine->inside_fake, coroutine->outside_stack, coroutine->outside_size);
    fiber_enter(coroutine->outside_fiber);
    context_switch(&coroutine->inside, &coroutine->outside);
    tell_arrived(coroutine->inside_fake, &coroutine->outside_stack, &coroutine->outside_size);
}

bool coroutine_has_ended(const struct coroutine *coroutine)
{
    return coroutine->ended;
}
