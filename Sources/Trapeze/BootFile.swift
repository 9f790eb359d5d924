// Bytes that a machine boots from, under the name that this module's users know them by.

import Foundation
import Machine

/// An image to boot from: a kernel, an initial RAM disk, firmware. A regular file by its path, or bytes with a name.
public typealias BootFile = BootImage

extension BootImage {
    /// The file that a URL names.
    public init(url: URL) { self = .file(url.path) }

    /// Checks that the image can be opened and is not empty.
    func validate() throws(ConfigurationError) {
        do throws(BootError) { _ = try OpenImage(self) } catch { throw ConfigurationError(error) }
    }
}

/// The kinds of kernel that a machine boots, as far as they differ for the user.
public enum KernelKind: Sendable, Equatable {
    /// A Linux bzImage, or an ELF file with a PVH entry point.
    case linux
    /// A Multiboot 1 kernel.
    case multiboot

    /// Looks at the headers of a kernel.
    ///
    /// - Throws: `ConfigurationError` if it can't be read or is no kernel.
    public init(of kernel: BootFile) throws(ConfigurationError) {
        do throws(BootError) {
            self =
                switch try KernelFormat(of: OpenImage(kernel)) {
                case .bzImage, .pvh: .linux
                case .multiboot: .multiboot
                }
        } catch {
            throw ConfigurationError(error)
        }
    }
}

extension ConfigurationError {
    /// An error of the boot loaders', under this module's type.
    init(_ error: BootError) {
        let reason: Reason =
            switch error {
            case .commandLineTooLong, .commandLineHasNUL, .oneInitrdOnly, .memoryTooSmall, .tooManyProcessors:
                .invalidValue
            case .memory: .hostLimit
            default: .badFile
            }
        self.init(reason, error.description)
    }
}
