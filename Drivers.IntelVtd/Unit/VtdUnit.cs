using Microsoft.Extensions.Logging;
using PasidFramework.Allocation;
using PasidFramework.Contracts;
using PasidFramework.Identifiers;
using PasidFramework.Results;

namespace PasidFramework.Drivers.IntelVtd.Unit;

/// <summary>
/// The core's view of a <see cref="RemappingUnit"/>: takes the core's objects apart, keeps the unit's records in their
/// driver state.
/// </summary>
internal sealed class VtdUnit(RemappingUnit unit, ILogger logger) : IIommuUnit
{
    /// <inheritdoc/>
    public string Name => unit.Name;

    /// <inheritdoc/>
    public int PasidBits => unit.PasidBits;

    /// <inheritdoc/>
    public IReadOnlyList<Pasid> ReservedPasids { get; } = [unit.RidPasid];

    /// <summary>
    /// One number per process in the whole system: ENQCMD takes it from a register of the CPU, and all first-stage
    /// entries share one domain id, so that a number may lead to one page table only (section 6.2.3.1).
    /// </summary>
    public PasidScope VendorScope => PasidScope.System;

    /// <summary>Lowest first over the whole system, as the Linux VT-d driver allocated from 2018 on.</summary>
    public IPasidAllocator CreateAllocator(PasidRange range) => new LowestPasidAllocator(range);

    /// <inheritdoc/>
    public UnitStatistics Statistics => unit.Statistics;

    /// <inheritdoc/>
    public OpResult AddDomain(Domain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        OpResult<VtdDomain> result = unit.AddDomain(domain.PasidBits);
        domain.DriverState = result.Value;
        return result.Outcome;
    }

    /// <inheritdoc/>
    public void RemoveDomain(Domain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        unit.RemoveDomain(StateOf(domain));
        domain.DriverState = null;
    }

    /// <inheritdoc/>
    public OpResult AddDevice(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        OpResult<VtdDevice> result = unit.AddDevice(device.Requester, device.Features, StateOf(device.Domain));
        device.DriverState = result.Value;
        return result.Outcome;
    }

    /// <inheritdoc/>
    public void RemoveDevice(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        OpResult result = unit.RemoveDevice(StateOf(device), StateOf(device.Domain));
        device.DriverState = null;
        if (!result.IsOk)
        {
            logger.LogWarning("{Unit}: removing {Device}: {Result}", Name, device, result);
        }
    }

    /// <inheritdoc/>
    public OpResult Attach(IommuContext context, Device device, bool first)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(device);
        var link = (VtdLink?)context.DriverState;
        OpResult result = StateOf(context.Domain).Attach(
            context.Pasid, context.Process.PageTableRoot, StateOf(device), first, ref link);
        context.DriverState = link;
        return result;
    }

    /// <inheritdoc/>
    public OpResult Detach(IommuContext context, Device device, bool last)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(device);
        var link = (VtdLink?)context.DriverState;
        OpResult result = StateOf(context.Domain).Detach(context.Pasid, StateOf(device), last, ref link);
        context.DriverState = link;
        return result;
    }

    /// <inheritdoc/>
    public OpResult Exit(IommuContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return StateOf(context.Domain).Exit(context.Pasid, (VtdLink?)context.DriverState);
    }

    /// <inheritdoc/>
    public OpResult Invalidate(IommuContext context, ulong start, ulong end)
    {
        ArgumentNullException.ThrowIfNull(context);
        return StateOf(context.Domain).Invalidate(context.Pasid, (VtdLink?)context.DriverState, start, end);
    }

    /// <inheritdoc/>
    public OpResult TakeFaults(ICollection<IommuFault> faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        return unit.Faults.Take(faults);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        OpResult result = unit.Stop();
        if (!result.IsOk)
        {
            logger.LogWarning("{Unit}: stopping: {Result}; its memory is kept", Name, result);
        }
    }

    private static VtdDomain StateOf(Domain domain) => domain.DriverState as VtdDomain
        ?? throw new ArgumentException(Text($"Domain {domain.Id} was not added to this unit."), nameof(domain));

    private static VtdDevice StateOf(Device device) => device.DriverState as VtdDevice
        ?? throw new ArgumentException($"Device {device} was not added to this unit.", nameof(device));
}
