// Where code was found: what jump caches, jump tables and links across pages rest on. When translations are flushed, the page
// tables are asked whether it is still there: most flushes change where data are, and what was found in code holds on.

/// The pages in which blocks were found since that was last forgotten.
struct JumpPages {
    var user = FoundPages()
    var supervisor = FoundPages()
    /// All supervisor pages among them were global.
    var supervisorIsGlobal = true
}

/// Linear pages, and the guest-physical pages that they led to.
package struct FoundPages {
    /// 16 MiB of code: more is not trusted over a flush, so that there is a bound to what one takes.
    package static let maximum = 4096

    /// Physical addresses of pages by linear ones.
    private var pages: [UInt64: UInt64] = [:]
    /// All are in `pages`.
    private var isComplete = true
    /// Each led to one place.
    private var isConsistent = true

    package init() {}

    /// Whether the page is among them, or may be where not all are known.
    package func contains(_ linear: UInt64) -> Bool { pages[linear & ~0xfff] != nil || !isComplete }

    /// Notes that the page of a linear address was found to lead to that of a physical one.
    package mutating func insert(_ linear: UInt64, physical: UInt64) {
        let (linear, physical) = (linear & ~0xfff, physical & ~0xfff)
        if let known = pages[linear] {
            if known != physical { isConsistent = false }
        } else if pages.count < Self.maximum {
            pages[linear] = physical
        } else {
            isComplete = false
        }
    }

    /// Whether every page is known to lead where it led; `leads` tells it of one.
    package func stillLead(_ leads: (_ linear: UInt64, _ physical: UInt64) -> Bool) -> Bool {
        isComplete && isConsistent && pages.allSatisfy { leads($0.key, $0.value) }
    }

    /// The same, if only what the page of `linear` leads to can have changed.
    package func stillLeads(_ linear: UInt64, _ leads: (_ linear: UInt64, _ physical: UInt64) -> Bool) -> Bool {
        guard let known = pages[linear & ~0xfff] else { return isComplete }
        return isConsistent && leads(linear & ~0xfff, known)
    }

    package mutating func removeAll() {
        pages.removeAll(keepingCapacity: true)
        isComplete = true
        isConsistent = true
    }
}
