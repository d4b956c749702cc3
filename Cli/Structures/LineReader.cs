// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Structures;

/// <summary>Lines of a stream as bytes, in constant memory.</summary>
/// <param name="beforeWait">Called before a read that may block: a reader that waits for answers must have them by
/// then.</param>
internal sealed class LineReader(Stream input, Action beforeWait)
{
    /// <summary>Longest line in bytes.</summary>
    public const int MaxBytes = 1 << 20;

    private byte[] _buffer = new byte[1 << 16];
    private int _start;
    private int _end;
    private bool _ended;

    /// <summary>Number of the line that was read last, from 1.</summary>
    public long Number { get; private set; }

    /// <param name="line">Its bytes without the end of line, valid until the next call; empty where it is too
    /// long.</param>
    /// <param name="isTooLong">Whether it is longer than <see cref="MaxBytes"/>; the whole line has been
    /// skipped.</param>
    public bool TryRead(out ReadOnlySpan<byte> line, out bool isTooLong)
    {
        isTooLong = false;
        int searched = 0;
        while (true)
        {
            int at = _buffer.AsSpan(_start + searched, _end - _start - searched).IndexOf((byte)'\n');
            if (at >= 0)
            {
                int length = searched + at;
                line = isTooLong ? [] : _buffer.AsSpan(_start, length);
                isTooLong |= length > MaxBytes;
                _start += length + 1;
                Number++;
                return true;
            }

            searched = _end - _start;
            if (searched > MaxBytes)
            {
                // Only its end is of interest now.
                isTooLong = true;
                _start = _end;
                searched = 0;
            }

            if (_ended)
            {
                line = isTooLong ? [] : _buffer.AsSpan(_start, searched);
                _start = _end;
                if (searched == 0 && !isTooLong)
                {
                    return false;
                }

                Number++;
                return true;
            }

            Fill();
        }
    }

    private void Fill()
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        beforeWait();
        int read = input.Read(_buffer, _end, _buffer.Length - _end);
        _ended = read == 0;
        _end += read;
    }
}
