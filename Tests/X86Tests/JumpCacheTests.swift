// The cache from linear address to decoded block forgets user code and supervisor code apart, in every mode.

import CPrimitives
import Testing
import X86

@Suite struct JumpCacheTests {
    /// All modes that code can have: its width, real-address mode, flat segments.
    static let modes: [UInt64] = [2, 4, 8].flatMap { width in
        [0, UInt64(TZ_MODE_REAL), UInt64(TZ_MODE_FLAT), UInt64(TZ_MODE_REAL | TZ_MODE_FLAT)].map { width | $0 }
    }

    @Test(arguments: modes) func userAndSupervisorCodeAreForgottenApart(_ mode: UInt64) {
        let block = UnsafeMutablePointer<Block>.allocate(capacity: 1)
        defer { block.deallocate() }
        let contexts = [TZ_TLB_SUPERVISOR, TZ_TLB_USER, TZ_TLB_SUPERVISOR_AC].map { mode | UInt64($0) << 4 }
        for forgetsUser in [false, true] {
            var cache = JumpCache()
            // Places of their own in the cache.
            func address(_ number: Int) -> UInt64 { 0x40_0000 + UInt64(number) * 16 }
            for (number, context) in contexts.enumerated() {
                cache.insert(block, at: address(number), context: context)
            }
            cache.flush(user: forgetsUser, supervisor: !forgetsUser)
            for (number, context) in contexts.enumerated() {
                let isUser = number == Int(TZ_TLB_USER)
                #expect((cache.find(address(number), context: context) == nil) == (isUser == forgetsUser))
            }
        }
    }
}
