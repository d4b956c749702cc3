// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hardware;

/// <summary>Memory as a device sees it: it reads and writes, and neither allocates nor flushes.</summary>
public interface IDeviceMemory : IMemoryReader
{
    /// <summary>Stores 64 bits in one access: another agent sees all of it or none.</summary>
    /// <param name="address">Byte address, a multiple of 8, in allocated memory.</param>
    /// <exception cref="ArgumentException">Misaligned, or no memory there.</exception>
    void WriteQword(ulong address, ulong value);

    /// <summary>Stores 32 bits at a multiple of 4.</summary>
    void WriteDword(ulong address, uint value);

    /// <summary>Stores bytes, in order of their address.</summary>
    void Write(ulong address, ReadOnlySpan<byte> source);
}
