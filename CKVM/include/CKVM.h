// The kernel's KVM interface as Swift can call it: `<linux/kvm.h>` itself, one inline function for each call, and what
// Swift cannot say (flexible arrays, request numbers, a signal handler). Nothing here decides anything.
#ifndef TRAPEZE_CKVM_H
#define TRAPEZE_CKVM_H

#include <linux/kvm.h>

#include "calls.h"
#include "kick.h"
#include "layout.h"
#include "lists.h"
#include "requests.h"
#include "run.h"
#include "seam.h"

#endif
