// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace PasidFramework.Cli.Structures;

/// <summary>
/// Reads a line to explain in the form in which programs write it: <c>{"structure":S,"words64":[...],"bytes":HEX}</c>
/// with one of the two or both, no escapes, at most one blank behind a colon or comma. What differs in any way is left
/// to the reader of JSON, which knows what is wrong with it.
/// </summary>
/// <remarks>Optimized at once: a million lines take less time than the just-in-time compiler's second
/// thoughts.</remarks>
internal ref struct PlainLine(ReadOnlySpan<byte> line)
{
    private readonly ReadOnlySpan<byte> _line = line;
    private int _at;

    /// <summary>Reads up to the structure's id.</summary>
    /// <param name="id">The id as it stands in the line.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryReadId(out ReadOnlySpan<byte> id)
    {
        id = default;
        if (!Take("{\"structure\":"u8) || !Skip((byte)'"'))
        {
            return false;
        }

        ReadOnlySpan<byte> rest = _line[_at..];
        int length = rest.IndexOfAny((byte)'"', (byte)'\\');
        if (length < 0 || rest[length] != '"')
        {
            return false;
        }

        id = rest[..length];
        _at += length + 1;
        return Take(","u8);
    }

    /// <summary>Reads the rest.</summary>
    /// <param name="words">Room for the structure's words.</param>
    /// <param name="bytes">The structure's bytes.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryReadContent(Span<ulong> words, int bytes)
    {
        bool hasWords = Take("\"words64\":"u8);
        if (hasWords && !TryReadWords(words))
        {
            return false;
        }

        if (hasWords && Take("}"u8))
        {
            return _at == _line.Length;
        }

        if (hasWords && !Take(","u8))
        {
            return false;
        }

        return TryReadBytes(words, bytes, hasWords) && Take("}"u8) && _at == _line.Length;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool TryReadWords(Span<ulong> words)
    {
        if (!Skip((byte)'['))
        {
            return false;
        }

        for (int i = 0; i < words.Length; i++)
        {
            if ((i > 0 && !Take(","u8)) || !TryReadWord(out words[i]))
            {
                return false;
            }
        }

        return Take("]"u8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool TryReadWord(out ulong value)
    {
        value = 0;
        if (!Skip((byte)'"') || !Take("0x"u8, blank: false))
        {
            return false;
        }

        int start = _at;
        while (_at < _line.Length && Digit(_line[_at]) is >= 0 and int digit)
        {
            value = (value << 4) | (uint)digit;
            _at++;
        }

        return _at - start is > 0 and <= 16 && Take("\""u8, blank: false);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool TryReadBytes(Span<ulong> words, int bytes, bool compare)
    {
        if (!Take("\"bytes\":"u8) || !Skip((byte)'"') || _line.Length - _at < bytes * 2)
        {
            return false;
        }

        Span<byte> raw = stackalloc byte[words.Length * 8];
        raw.Clear();
        for (int i = 0; i < bytes; i++)
        {
            int high = Digit(_line[_at++]);
            int low = Digit(_line[_at++]);
            if ((high | low) < 0)
            {
                return false;
            }

            raw[i] = (byte)((high << 4) | low);
        }

        for (int i = 0; i < words.Length; i++)
        {
            ulong word = BinaryPrimitives.ReadUInt64LittleEndian(raw[(i * 8)..]);
            if (compare && words[i] != word)
            {
                return false;
            }

            words[i] = word;
        }

        return Take("\""u8, blank: false);
    }

    private static int Digit(byte c) =>
        (uint)(c - '0') <= 9 ? c - '0'
        : (uint)((c | 0x20) - 'a') <= 5 ? (c | 0x20) - 'a' + 10
        : -1;

    // A blank may stand before a value.
    private bool Skip(byte expected)
    {
        if (_at < _line.Length && _line[_at] == ' ')
        {
            _at++;
        }

        if (_at >= _line.Length || _line[_at] != expected)
        {
            return false;
        }

        _at++;
        return true;
    }

    private bool Take(ReadOnlySpan<byte> text, bool blank = true)
    {
        int at = _at + (blank && _at < _line.Length && _line[_at] == ' ' ? 1 : 0);
        if (!_line[at..].StartsWith(text))
        {
            return false;
        }

        _at = at + text.Length;
        return true;
    }
}
