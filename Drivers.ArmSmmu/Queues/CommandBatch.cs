using System.Runtime.CompilerServices;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Queues;

/// <summary>
/// Commands of one operation on their way to the queue: collected on the stack, written in order, completed by a SYNC.
/// </summary>
/// <param name="queue">The queue.</param>
internal ref struct CommandBatch(CommandQueue queue) : ICommandSink
{
    private const int Capacity = 16;

    private readonly CommandQueue _queue = queue;
    private Buffer _buffer;
    private int _count;
    private long _ticket;
    private long _last;
    private OpResult _failure;

    /// <inheritdoc/>
    public void Add(SmmuCommand command)
    {
        _buffer[_count++] = command;
        if (_count == Capacity)
        {
            Write();
        }
    }

    /// <summary>Orders what follows after the completion of what came before.</summary>
    public void Sync() => Add(Commands.Sync());

    /// <summary>Adds a SYNC and waits until the hardware has consumed it.</summary>
    /// <returns>Success; ETIMEDOUT; EIO with the queue's error code.</returns>
    public OpResult Complete()
    {
        Sync();
        Write();
        return _failure.IsOk ? _queue.Wait(_ticket, _last) : _failure;
    }

    private void Write()
    {
        if (_count > 0 && _failure.IsOk)
        {
            ReadOnlySpan<SmmuCommand> commands = _buffer;
            _failure = _queue.Write(commands[.._count], ref _ticket, out _last);
        }

        _count = 0;
    }

    [InlineArray(Capacity)]
    private struct Buffer
    {
        private SmmuCommand _element;
    }
}
