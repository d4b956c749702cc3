// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace PasidFramework.Records;

/// <summary>Reads and writes fields in the 64-bit words of a structure, low word first, or in a register's
/// one.</summary>
public static class FieldAccess
{
    /// <summary>Reads a field's bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Get(this ReadOnlySpan<ulong> words, Field field) => words[field.Lsb >> 6].Get(field);

    /// <summary>Reads a field's bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Get(this Span<ulong> words, Field field) => words[field.Lsb >> 6].Get(field);

    /// <summary>Reads a field's bits from the word that it lies in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong Get(this ulong word, Field field) =>
        (word >> (field.Lsb & 63)) & (ulong.MaxValue >> (63 - (field.Msb - field.Lsb)));

    /// <summary>Whether a field of the word is not 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Has(this ulong word, Field field) => word.Get(field) != 0;

    /// <summary>Replaces a field's bits; a value that is too wide is cut off by its mask and is a caller's
    /// error.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Set(this Span<ulong> words, Field field, ulong value)
    {
        ref ulong word = ref words[field.Lsb >> 6];
        word = word.With(field, value);
    }

    /// <summary>The word with a field's bits replaced; the same limit as for
    /// <see cref="Set(Span{ulong}, Field, ulong)"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong With(this ulong word, Field field, ulong value)
    {
        ulong mask = ulong.MaxValue >> (63 - (field.Msb - field.Lsb));
        System.Diagnostics.Debug.Assert((value & ~mask) == 0, "the value does not fit its field");
        return (word & ~(mask << (field.Lsb & 63))) | ((value & mask) << (field.Lsb & 63));
    }

    /// <summary>Reads a field that holds the upper bits of a byte address: the bits below the field are 0.</summary>
    /// <remarks>The field's position in its word is the address's alignment, as in every table of these
    /// formats.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong GetAddress(this ReadOnlySpan<ulong> words, Field field) =>
        words[field.Lsb >> 6].GetAddress(field);

    /// <inheritdoc cref="GetAddress(ReadOnlySpan{ulong}, Field)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong GetAddress(this Span<ulong> words, Field field) => words[field.Lsb >> 6].GetAddress(field);

    /// <inheritdoc cref="GetAddress(ReadOnlySpan{ulong}, Field)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong GetAddress(this ulong word, Field field) => word & MaskOf(field);

    /// <summary>Replaces the upper bits of a byte address in place.</summary>
    /// <param name="words">The structure.</param>
    /// <param name="field">A field whose position in its word is the address's alignment.</param>
    /// <param name="address">The byte address; it must be aligned and fit.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetAddress(this Span<ulong> words, Field field, ulong address)
    {
        ref ulong word = ref words[field.Lsb >> 6];
        word = word.WithAddress(field, address);
    }

    /// <summary>The word with the upper bits of a byte address in place; it must be aligned and fit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong WithAddress(this ulong word, Field field, ulong address)
    {
        System.Diagnostics.Debug.Assert(
            (address & ~MaskOf(field)) == 0, "the address is misaligned or does not fit");
        return (word & ~MaskOf(field)) | (address & MaskOf(field));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong MaskOf(Field field) =>
        (ulong.MaxValue >> (63 - (field.Msb - field.Lsb))) << (field.Lsb & 63);
}
