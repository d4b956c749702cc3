// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Allocation;

namespace PasidFramework.DriverKit.Queues;

/// <summary>Records that hardware writes and a driver takes: faults in registers or in a ring. Safe for concurrent
/// use.</summary>
/// <param name="recordWords">64-bit words of a record.</param>
public abstract class RecordQueue(int recordWords) : IDisposable
{
    private SpinGate _gate;
    private bool _isClosed;

    /// <summary>64-bit words of a record.</summary>
    protected int RecordWords => recordWords;

    /// <summary>Takes the records that are there when it begins, so it ends however fast hardware records.</summary>
    /// <param name="faults">Where they are added, oldest first.</param>
    /// <returns>Success; EOVERFLOW where records were lost; success without records after disposal.</returns>
    public OpResult Take(ICollection<IommuFault> faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        Span<ulong> record = stackalloc ulong[recordWords];
        _gate.Enter();
        try
        {
            if (_isClosed)
            {
                return OpResult.Ok;
            }

            for (int waiting = Begin(); waiting > 0 && TryRead(record); waiting--)
            {
                faults.Add(Decode(record));
            }

            return End();
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Ends taking; no thread reads the queue's memory from here on, so that it can be freed.</summary>
    public void Dispose()
    {
        _gate.Enter();
        bool wasClosed = _isClosed;
        _isClosed = true;
        _gate.Exit();
        if (!wasClosed)
        {
            FreeMemory();
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Reads how many records wait, at most; inside the gate, as the two that follow.</summary>
    protected abstract int Begin();

    /// <summary>Reads the next record.</summary>
    /// <returns>Whether there was one.</returns>
    protected abstract bool TryRead(Span<ulong> record);

    /// <summary>Gives the places of what was read back.</summary>
    /// <returns>Success; EOVERFLOW where records were lost.</returns>
    protected abstract OpResult End();

    /// <summary>A record in the framework's words.</summary>
    protected abstract IommuFault Decode(ReadOnlySpan<ulong> record);

    /// <summary>Frees the queue's memory, if it has any; once.</summary>
    protected virtual void FreeMemory()
    {
    }
}
