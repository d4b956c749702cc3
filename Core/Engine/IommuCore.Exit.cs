// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Engine;

/// <content>Process death and changed mappings.</content>
public sealed partial class IommuCore
{
    /// <summary>
    /// An address space ended, by exit or by executing another program: its bindings end. Translation stops first, then
    /// the drivers of its devices are notified, then every device is detached; then the PASID returns. Safe at any
    /// time and from several threads: every call returns after translation stopped, the first one after all is torn
    /// down.
    /// </summary>
    /// <param name="process">The address space; <see cref="IAddressSpace.IsAlive"/> is false already.</param>
    /// <exception cref="AggregateException">Device exit handlers threw; everything was torn down all the
    /// same.</exception>
    public void ProcessEnded(IAddressSpace process)
    {
        ArgumentNullException.ThrowIfNull(process);
        AtomicContext.Forbid(nameof(ProcessEnded));
        _bindings.Ended(process);
    }

    /// <summary>Connects a process source: its processes' ends end their bindings.</summary>
    public void Follow(IProcessSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        source.AddressSpaceEnded += ProcessEnded;
    }

    /// <summary>Mappings of [start, end) of a process changed: invalidates every unit that it is linked to.</summary>
    /// <param name="start">First byte.</param>
    /// <param name="end">Byte after the range; 0 is the top of memory, so that 0, 0 is everything. Any other
    /// <c>start == end</c> is empty: no unit is called.</param>
    /// <returns>Success, also where the process is not bound; or the first failed invalidation.</returns>
    public OpResult Invalidate(IAddressSpace process, ulong start, ulong end)
    {
        ArgumentNullException.ThrowIfNull(process);
        AtomicContext.Forbid(nameof(Invalidate));
        var range = IovaRange.FromStartEnd(start, end);
        return range.IsEmpty ? OpResult.Ok : _bindings.Invalidate(process, range);
    }
}
