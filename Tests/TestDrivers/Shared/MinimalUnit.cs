// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;

namespace PasidFramework.TestDrivers;

/// <summary>A unit that remembers its entries instead of writing a table.</summary>
internal sealed class MinimalUnit(string name, int pasidBits) : IIommuUnit
{
    private readonly ConcurrentDictionary<(string Domain, Pasid Pasid), ulong> _entries = new();
    private long _commands;
    public string Name => name;
    public int PasidBits => pasidBits;
    public IReadOnlyList<Pasid> ReservedPasids => [];
    public PasidScope VendorScope => PasidScope.Unit;
    public UnitStatistics Statistics => new(0, 0, Interlocked.Read(ref _commands));

    public OpResult AddDomain(Domain domain) => domain.PasidBits <= PasidBits
        ? OpResult.Ok
        : OpResult.Refuse(Errno.EINVAL, $"a table of {domain.PasidBits} bits, {PasidBits} are the limit");

    public void RemoveDomain(Domain domain)
    {
    }

    public OpResult AddDevice(Device device) => OpResult.Ok;

    public void RemoveDevice(Device device)
    {
    }

    public OpResult Attach(IommuContext context, Device device, bool first) =>
        !first || _entries.TryAdd((context.Domain.Name, context.Pasid), context.Process.PageTableRoot)
            ? OpResult.Ok
            : OpResult.Refuse(Errno.EEXIST, $"{context.Pasid} has an entry already");

    public OpResult Detach(IommuContext context, Device device, bool last)
    {
        if (last)
        {
            _entries.TryRemove((context.Domain.Name, context.Pasid), out _);
        }

        Interlocked.Increment(ref _commands);
        return OpResult.Ok;
    }

    public OpResult Exit(IommuContext context)
    {
        _entries[(context.Domain.Name, context.Pasid)] = 0;
        return OpResult.Ok;
    }

    public OpResult Invalidate(IommuContext context, IovaRange range)
    {
        Interlocked.Increment(ref _commands);
        return OpResult.Ok;
    }

    public void Dispose() => _entries.Clear();
}
