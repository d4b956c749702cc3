// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace PasidFramework.DriverKit.Queues;

/// <summary>
/// The commands of one operation, for any number of devices: collected on the stack, written in order, waited for once.
/// </summary>
/// <remarks>
/// What outgrows the buffer is written on the way; a ring whose submissions stay whole completes that part first, which
/// is a stronger order than a fence. An empty batch sends nothing.
/// </remarks>
/// <param name="ring">Where they go.</param>
public ref struct CommandBatch(CommandRing ring)
{
    /// <summary>Commands that are written at once, the closing one aside.</summary>
    public const int Capacity = 16;

    private const int MaxWords = 4 * (Capacity + 1);
    private readonly CommandRing _ring = ring;
    private Buffer _buffer;
    private int _words;
    private CommandTicket _ticket;
    private OpResult _result;

    /// <summary>Whether nothing was added since the last submission.</summary>
    public readonly bool IsEmpty => _words == 0;

    /// <summary>Adds a command.</summary>
    /// <returns>Its zeroed words, to be encoded before the batch is used again.</returns>
    [UnscopedRef]
    public Span<ulong> Add()
    {
        if (_words == Capacity * _ring.CommandWords)
        {
            if (_ring.IsWhole)
            {
                Complete();
            }
            else
            {
                Write();
            }
        }

        return Take();
    }

    /// <summary>What follows starts only when everything so far has completed.</summary>
    public void Fence() => _ring.EncodeFence(Add());

    /// <summary>Writes what was added and a command by which it can be waited for.</summary>
    /// <param name="drain">Whether page requests in flight are waited for as well, where hardware has that.</param>
    /// <returns>Success; ETIMEDOUT where no room came; an error of the ring.</returns>
    public OpResult Submit(bool drain = false)
    {
        if (!IsEmpty)
        {
            _ring.EncodeClosing(Take(), drain);
            Write();
        }

        return _result;
    }

    /// <summary>Waits until what was submitted has completed.</summary>
    /// <returns>Success; ETIMEDOUT; an error of a command or of the ring.</returns>
    public OpResult WaitForCompletion()
    {
        if (_result.IsOk && _ticket != default)
        {
            _result = _ring.WaitForCompletion(_ticket);
        }

        return _result;
    }

    /// <summary>Submits, and waits for all of it.</summary>
    /// <inheritdoc cref="Submit"/>
    public OpResult Complete(bool drain = false)
    {
        Submit(drain);
        return WaitForCompletion();
    }

    private void Write()
    {
        if (_result.IsOk)
        {
            _result = _ring.Submit(Words(0, _words), ref _ticket);
        }

        _words = 0;
    }

    [UnscopedRef]
    private Span<ulong> Take()
    {
        Span<ulong> command = Words(_words, _ring.CommandWords);
        command.Clear();
        _words += command.Length;
        return command;
    }

    [UnscopedRef]
    private Span<ulong> Words(int start, int count) => ((Span<ulong>)_buffer).Slice(start, count);

    [InlineArray(MaxWords)]
    private struct Buffer
    {
        private ulong _word;
    }
}
