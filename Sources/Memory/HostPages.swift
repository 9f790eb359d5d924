// Large tables and arenas in the host's memory, which take none of it until they are touched.

import Glibc

/// Room for `count` values whose bytes are all 0, to be given back by `free`.
package func zeroed<Value>(_ count: Int) -> UnsafeMutablePointer<Value> {
    guard let memory = calloc(count, MemoryLayout<Value>.stride) else { fatalError("out of memory") }
    return memory.bindMemory(to: Value.self, capacity: count)
}

/// Room for `count` values on a page boundary, to be given back by `free`.
package func pageAligned<Value>(_ count: Int) -> UnsafeMutablePointer<Value> {
    guard let memory = aligned_alloc(4096, (count * MemoryLayout<Value>.stride + 4095) & ~4095) else {
        fatalError("out of memory")
    }
    return memory.bindMemory(to: Value.self, capacity: count)
}
