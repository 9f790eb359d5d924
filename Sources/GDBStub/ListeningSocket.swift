// The TCP socket on which the stub waits for GDB, as `[ADDRESS:]PORT` names it.

import Foundation

/// Where the stub listens.
public struct DebugEndpoint: Equatable, Sendable {
    /// A host name or a numeric address.
    public var host: String
    /// The TCP port; 0 takes a free one.
    public var port: UInt16

    /// The host that is taken when none is named: only this machine can connect.
    public static let localHost = "127.0.0.1"

    /// Makes an endpoint.
    public init(host: String = Self.localHost, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `[ADDRESS:]PORT`; an IPv6 address stands in brackets. Nil for anything else.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else {
            guard let port = Self.port(text) else { return nil }
            self.init(port: port)
            return
        }
        guard let port = Self.port(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        self.init(host: host.isEmpty ? Self.localHost : String(host), port: port)
    }

    private static func port(_ text: some StringProtocol) -> UInt16? {
        text.allSatisfy { $0.isASCII && $0.isNumber } ? UInt16(text) : nil
    }

    /// The endpoint as GDB's `target remote` takes it.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Why the stub cannot listen, in one line.
public struct DebugServerError: Error, Equatable, Sendable {
    /// What is wrong with the address, or the system's reason.
    public let description: String
}

/// A bound and listening socket.
struct ListeningSocket {
    let descriptor: Int32
    /// Where it listens, a port of 0 replaced by the one taken.
    let endpoint: DebugEndpoint

    init(_ endpoint: DebugEndpoint) throws(DebugServerError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let error = getaddrinfo(endpoint.host, String(endpoint.port), &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard error == 0, let found = list?.pointee, let address = found.ai_addr else {
            let reason = error == 0 ? "no address" : String(cString: gai_strerror(error))
            throw DebugServerError(description: "cannot listen on \(endpoint.description): \(reason)")
        }
        let descriptor = socket(found.ai_family, found.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), found.ai_protocol)
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        guard descriptor >= 0, bind(descriptor, address, found.ai_addrlen) == 0, listen(descriptor, 4) == 0 else {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            throw DebugServerError(
                description:
                    "cannot listen on \(endpoint.description): \(reason.prefix(1).lowercased())\(reason.dropFirst())")
        }
        self.descriptor = descriptor
        var taken = endpoint
        if taken.port == 0 { taken.port = Self.port(of: descriptor) }
        self.endpoint = taken
    }

    private static func port(of descriptor: Int32) -> UInt16 {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { bytes in
            guard let start = bytes.baseAddress,
                getsockname(descriptor, start.assumingMemoryBound(to: sockaddr.self), &size) == 0
            else { return 0 }
            // The port lies at the same place in IPv4 and IPv6 addresses.
            return UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
        }
    }
}
