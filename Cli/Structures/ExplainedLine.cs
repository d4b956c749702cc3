// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Text;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace PasidFramework.Cli.Structures;

/// <summary>Explains structures without violations: everything but the values is there before.</summary>
internal sealed class ExplainedLine
{
    private const int MaxDigits = 20;
    private readonly Slot[] _slots;
    private readonly byte[] _tail;

    public ExplainedLine(Layout layout)
    {
        string before = $"{{\"structure\":\"{JsonEncodedText.Encode(layout.Id)}\",\"fields\":{{";
        var slots = new List<Slot>();
        foreach (LayoutField field in layout.Fields.Where(f => f.IsNamed))
        {
            var name = JsonEncodedText.Encode(field.Mnemonic, JavaScriptEncoder.UnsafeRelaxedJsonEscaping);
            slots.Add(new Slot(Encoding.UTF8.GetBytes($"{before}\"{name}\":"), field));
            before = ",";
        }

        _slots = [.. slots];
        _tail = Encoding.UTF8.GetBytes((slots.Count == 0 ? before : string.Empty) + "},\"violations\":[]}");
        MaxBytes = _slots.Sum(s => s.Before.Length + MaxDigits) + _tail.Length;
    }

    /// <summary>Bytes that it needs at most.</summary>
    public int MaxBytes { get; }

    /// <summary>Writes the line.</summary>
    /// <param name="destination">At least <see cref="MaxBytes"/>.</param>
    /// <returns>Bytes written.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int Write(ReadOnlySpan<ulong> words, Span<byte> destination)
    {
        int at = 0;
        foreach (ref readonly Slot slot in _slots.AsSpan())
        {
            slot.Before.CopyTo(destination[at..]);
            at += slot.Before.Length;
            ulong value = slot.Split is { } split ? split.Get(words) : (words[slot.Word] >> slot.Shift) & slot.Mask;
            if (value < 10)
            {
                destination[at++] = (byte)('0' + value);
            }
            else
            {
                _ = Utf8Formatter.TryFormat(value, destination[at..], out int digits);
                at += digits;
            }
        }

        _tail.CopyTo(destination[at..]);
        return at + _tail.Length;
    }

    private readonly struct Slot
    {
        public Slot(byte[] before, LayoutField field)
        {
            Before = before;
            Field part = field.Parts[0];
            Word = part.Lsb >> 6;
            if (field.Kind == FieldKind.Address)
            {
                Mask = part.WordMask;
            }
            else if (field.Parts.Count == 1)
            {
                Shift = part.Lsb & 63;
                Mask = part.ValueMask;
            }
            else
            {
                Split = field;
            }
        }

        public byte[] Before { get; }
        public int Word { get; }
        public int Shift { get; }
        public ulong Mask { get; }

        /// <summary>A field in several places.</summary>
        public LayoutField? Split { get; }
    }
}
