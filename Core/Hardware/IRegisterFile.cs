// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>
/// The memory-mapped registers of one IOMMU, by byte offset from its base, little-endian. A write may act before it
/// returns (software model) or later (real hardware): drivers poll as the specification says. A write does not order
/// stores to memory before it: call <see cref="IPhysicalMemory.StoreBarrier"/> first where it rings a doorbell.
/// </summary>
public interface IRegisterFile
{
    /// <summary>Reads a 32-bit register.</summary>
    uint Read32(int offset);

    /// <summary>Reads a 64-bit register.</summary>
    ulong Read64(int offset);

    /// <summary>Writes a 32-bit register.</summary>
    void Write32(int offset, uint value);

    /// <summary>Writes a 64-bit register.</summary>
    void Write64(int offset, ulong value);
}
