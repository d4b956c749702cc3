// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// Translations of pages and blocks: an IOTLB, a device's TLB, or the upper entries of page tables. Not safe for
/// concurrent use.
/// </summary>
/// <typeparam name="TTag">What the specification tags them with.</typeparam>
/// <typeparam name="TValue">What is kept.</typeparam>
/// <param name="name">Which cache, in the specification's words.</param>
/// <param name="maxEntries">Above that, everything is forgotten.</param>
[SuppressMessage("Naming", "CA1710", Justification = "It is a cache before it is a collection.")]
public class TranslationCache<TTag, TValue>(string name, int maxEntries = int.MaxValue)
    : TagCache<TranslationKey<TTag>, TValue>(name, maxEntries)
    where TTag : struct
{
    // Of all that was ever kept, the smallest first: two or three.
    private readonly List<int> _shifts = [];

    /// <summary>Finds the smallest thing that covers an address.</summary>
    public bool TryFind(TTag tag, ulong address, out TranslationKey<TTag> key, [MaybeNullWhen(false)] out TValue value)
    {
        if (Count != 0)
        {
            foreach (int shift in _shifts)
            {
                key = TranslationKey.Of(tag, address, shift);
                if (TryGet(key, out value))
                {
                    return true;
                }
            }
        }

        key = default;
        value = default;
        return false;
    }

    /// <summary>Keeps what covers an address, instead of what was kept with the same tags.</summary>
    /// <param name="address">Any address that it covers.</param>
    /// <param name="shift">log2 of the bytes that it covers.</param>
    /// <param name="value">What is kept.</param>
    public void Keep(TTag tag, ulong address, int shift, TValue value) => Replace(KeyOf(tag, address, shift), value);

    /// <summary>Keeps what covers an address, where nothing is kept with the same tags.</summary>
    /// <inheritdoc cref="Keep"/>
    public void TryKeep(TTag tag, ulong address, int shift, TValue value) =>
        _ = TryKeep(KeyOf(tag, address, shift), value);

    private TranslationKey<TTag> KeyOf(TTag tag, ulong address, int shift)
    {
        int place = _shifts.BinarySearch(shift);
        if (place < 0)
        {
            _shifts.Insert(~place, shift);
        }

        return TranslationKey.Of(tag, address, shift);
    }
}
