using System.Globalization;
using PasidFramework.Allocation;
using PasidFramework.Contracts;
using PasidFramework.Drivers.ArmSmmu.Formats;
using PasidFramework.Results;

namespace PasidFramework.Drivers.ArmSmmu.Unit;

// The consumer of the event queue: Arm IHI 0070 3.5.1 (positions), 7.2 (event queue), 7.4 (overflow).
internal sealed partial class SmmuUnit
{
    private SpinGate _eventGate;
    private uint _eventPosition;

    /// <inheritdoc/>
    /// <remarks>Takes what was in the queue when it began, so it ends however fast records come.</remarks>
    public OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        _eventGate.Enter();
        try
        {
            return _eventQueue == 0 ? OpResult.Ok : TakeEvents(faults);
        }
        finally
        {
            _eventGate.Exit();
        }
    }

    // Inside the gate. GERROR says nothing of lost records, so it is not looked at.
    private OpResult TakeEvents(ICollection<IommuFault> faults)
    {
        uint producer = _registers.Read32(Registers.EVENTQ_PROD);
        uint acknowledged = _registers.Read32(Registers.EVENTQ_CONS) & Registers.QueueOverflow;
        uint overflow = producer & Registers.QueueOverflow;
        uint size = 1u << EventQueueLog2;
        uint mask = (2 * size) - 1;
        uint position = _eventPosition;
        uint waiting = (producer - position) & mask;
        if (waiting > size)
        {
            // No producer can be there. What is between cannot be told from what was taken before.
            MoveTo(producer & mask, overflow);
            return OpResult.Refuse(Errno.EOVERFLOW, string.Create(
                CultureInfo.InvariantCulture,
                $"{Name}: EVENTQ_PROD 0x{producer:x} is {waiting} records ahead, the queue has {size}: all are skipped"));
        }

        Span<ulong> words = stackalloc ulong[Events.Words];
        for (; waiting > 0; waiting--)
        {
            ulong at = _eventQueue + ((ulong)(position & (size - 1)) << Events.BytesLog2);
            for (int word = 0; word < words.Length; word++)
            {
                words[word] = _memory.ReadQword(at + ((ulong)word * 8));
            }

            faults.Add(EventDecoder.Decode(words));
            position = (position + 1) & mask;
        }

        if (position != _eventPosition || overflow != acknowledged)
        {
            MoveTo(position, overflow);
        }

        return overflow == acknowledged
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EOVERFLOW, string.Create(
                CultureInfo.InvariantCulture,
                $"{Name}: EVENTQ_PROD.OVFLG toggled: events were lost, all {size} records were in use"));
    }

    // The records must have been read before their places go back.
    private void MoveTo(uint position, uint overflow)
    {
        Interlocked.MemoryBarrier();
        _eventPosition = position;
        _registers.Write32(Registers.EVENTQ_CONS, position | overflow);
    }

    // Inside the topology lock: nobody reads the queue's memory from here on.
    private void FreeEvents()
    {
        _eventGate.Enter();
        ulong queue = _eventQueue;
        _eventQueue = 0;
        _eventGate.Exit();
        if (queue != 0)
        {
            _memory.FreePages(queue, _eventQueueBytes);
        }
    }
}
