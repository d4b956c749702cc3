// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Emulation;

/// <summary>Tags of a translation, or of an entry on the way to one.</summary>
/// <typeparam name="TTag">What the specification tags it with: domain, ASID, requester, PASID.</typeparam>
/// <param name="Tag">Those tags.</param>
/// <param name="Shift">log2 of the bytes that it covers.</param>
/// <param name="First">The first input address that it covers, a multiple of these bytes.</param>
public readonly record struct TranslationKey<TTag>(TTag Tag, int Shift, ulong First)
    where TTag : struct
{
    /// <summary>The last input address that it covers.</summary>
    public ulong Last => First | ((1UL << Shift) - 1);

    /// <summary>Whether it covers an address of a range.</summary>
    public bool Overlaps(AddressRange range) => range.Overlaps(First, Last);
}

/// <summary>Makes tags.</summary>
public static class TranslationKey
{
    /// <summary>The tags of what covers an address.</summary>
    /// <typeparam name="TTag">What the specification tags it with.</typeparam>
    /// <param name="tag">Those tags.</param>
    /// <param name="address">Any address that it covers.</param>
    /// <param name="shift">log2 of the bytes that it covers.</param>
    public static TranslationKey<TTag> Of<TTag>(TTag tag, ulong address, int shift)
        where TTag : struct => new(tag, shift, address & ~((1UL << shift) - 1));
}
