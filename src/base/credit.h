/* credit.h - a sender's credit: how many bytes it may have on its way, on a pile or elsewhere, before it has to wait.
 *
 * Threads:   give and close from any thread, take from the sender.
 * Ownership: letters refer to it (letter.h): it is freed after the last of them. */
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
void credit_give(struct credit *credit, size_t bytes);
void credit_close(struct credit *credit); /* twice is harmless */

#endif
