// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.DriverKit.Emulation;

/// <summary>Physical or virtual addresses.</summary>
/// <param name="First">First byte.</param>
/// <param name="Last">Last byte, inclusive.</param>
public readonly record struct AddressRange(ulong First, ulong Last)
{
    private const ulong PageMask = 4095;

    /// <summary>Whether a byte is in it.</summary>
    public bool Contains(ulong address) => address >= First && address <= Last;

    /// <summary>Whether it has a byte in common with another range.</summary>
    /// <param name="first">First byte of that.</param>
    /// <param name="last">Last byte of that, inclusive.</param>
    public bool Overlaps(ulong first, ulong last) => first <= Last && last >= First;

    /// <summary>The whole pages that an event of <see cref="MemoryEventKind.Free"/> gives back.</summary>
    public static AddressRange OfFreed(in MemoryEvent change) =>
        new(change.Address, (change.Address + (ulong)change.Bytes - 1) | PageMask);
}
