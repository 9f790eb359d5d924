// The cases in cases.S, by name: `CASE(name)` declares one.

CASE(patch_next)
CASE(patch_opcode)
CASE(patch_loop)
CASE(patch_jump)
CASE(patch_by_rep)
CASE(patch_rep_itself)
CASE(patch_atomically)
CASE(patch_by_push)
CASE(jump_to_next_page)
CASE(patch_in_user_mode)
