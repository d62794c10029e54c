/* What the files of the room share. */
#pragma once
#include "delivery/delivery.h"

/* Code, status and words of a refusal of our own into a queue row. */
void delivery_refusal(enum delivery_result result, struct queue_recipient *r);
/* May it be tried again, or is it for good? */
bool delivery_may_wait(enum delivery_result result);
