// A place in the process where two pages of guest memory, wherever they are, lie one behind the other: so a locked
// instruction on an operand across both is one locked instruction of the host, atomic against whatever else there is.

import CPrimitives
import Glibc

/// Two pages of address space; those of guest memory that were last joined stay in them.
struct JoinedPages: ~Copyable {
    // SAFETY: reserved on first use and unmapped by `deinit`; what is mapped there is guest memory a second time.
    private var window: UnsafeMutableRawPointer?
    private var first: UnsafeMutableRawPointer?
    private var second: UnsafeMutableRawPointer?

    deinit { if let window { munmap(window, 2 * 4096) } }

    /// The address of `operand` in the window, where `next`, the first byte of its second page, follows the end of its first
    /// page. Nil if the host cannot do it.
    mutating func join(
        _ operand: UnsafeMutableRawPointer, _ next: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer? {
        let offset = Int(bitPattern: operand) & 4095
        if window == nil {
            let reserved = mmap(nil, 2 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard reserved != MAP_FAILED else { return nil }
            window = reserved
        }
        guard let window else { return nil }
        if first != operand - offset || second != next {
            forget()
            guard tz_join_pages(window, operand - offset, next) == 0 else { return nil }
            first = operand - offset
            second = next
        }
        return window + offset
    }

    /// Guest memory may lie elsewhere now.
    mutating func forget() {
        first = nil
        second = nil
    }
}
