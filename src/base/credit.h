/* credit.h - a sender's credit: how many bytes it may have on its way, on a pile or elsewhere, before it has to wait.
 *
 * Threads:   give and close from any thread; take, charge, await and abandon from the sender.
 * Ownership: letters refer to it (letter.h): it is freed after the last of them, or abandoned before. */
#ifndef BASE_CREDIT_H
#define BASE_CREDIT_H

#include <stdbool.h>
#include <stddef.h>

struct credit;

struct credit *credit_new(size_t bytes);
void credit_free(struct credit *credit); /* once no letter refers to it and nobody takes from it; NULL is fine */

/* Waits until some credit is left, then takes bytes from it (it may go below zero: one letter is always possible).
 * False when the credit was closed. */
bool credit_take(struct credit *credit, size_t bytes);
/* The same in two steps, for one who knows only afterwards how many they are. */
void credit_charge(struct credit *credit, size_t bytes); /* takes them, also below zero */
bool credit_await(struct credit *credit);                /* until some is left; false when it was closed */
void credit_give(struct credit *credit, size_t bytes);
void credit_close(struct credit *credit); /* twice is harmless */
/* Nothing is taken any more: it frees itself when all that was taken has been given back. */
void credit_abandon(struct credit *credit);

#endif
