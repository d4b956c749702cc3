// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Core.Tests.Engine;

/// <summary>
/// A driver that keeps its own account of what the core promised (attach first, detach last, never concurrently for one
/// domain) and throws where a promise is broken; it can be set to fail the n-th call of an operation.
/// </summary>
internal sealed class RecordingUnit : IIommuUnit
{
    private readonly Dictionary<(int Domain, uint Pasid), HashSet<Device>> _attached = [];
    private readonly Dictionary<IommuProcess, int> _processes = [];
    private readonly Dictionary<Domain, int> _inside = [];
    private readonly Lock _gate = new();
    private readonly List<string> _broken = [];
    public string Name { get; init; } = "unit0";
    public int PasidBits { get; init; } = 20;
    public IReadOnlyList<Pasid> ReservedPasids { get; init; } = [new Pasid(0)];
    public PasidScope VendorScope { get; init; } = PasidScope.Domain;
    public UnitStatistics Statistics => default;
    public List<string> Log { get; } = [];

    /// <summary>Called before each operation with its name; a refusal returned is the operation's result.</summary>
    public Func<string, IommuContext?, Device?, OpResult> OnCall { get; set; } = (_, _, _) => OpResult.Ok;

    public int AttachSuccesses { get; private set; }
    public int Detaches { get; private set; }
    public int Exits { get; private set; }
    public int ProcessesAllocated { get; private set; }
    public int ProcessesFreed { get; private set; }

    public int Entries
    {
        get
        {
            lock (_gate)
            {
                return _attached.Count;
            }
        }
    }

    public IReadOnlyList<string> BrokenPromises
    {
        get
        {
            lock (_gate)
            {
                return [.. _broken];
            }
        }
    }

    public Func<PasidRange, IPasidAllocator?> Allocators { get; init; } = _ => null;
    public IPasidAllocator? CreateAllocator(PasidRange range) => Allocators(range);

    public OpResult AddDomain(Domain domain) => PasidBits == 0
        ? OpResult.Refuse(Errno.EOPNOTSUPP, "no PASIDs")
        : OnCall("AddDomain", null, null);

    public void RemoveDomain(Domain domain) => Note("RemoveDomain " + domain.Name);
    public OpResult AddDevice(Device device) => OnCall("AddDevice", null, device);

    public void RemoveDevice(Device device)
    {
        lock (_gate)
        {
            foreach (((int _, uint pasid), HashSet<Device> devices) in _attached)
            {
                if (devices.Contains(device))
                {
                    _broken.Add($"RemoveDevice({device.Name}) with 0x{pasid:x} attached");
                }
            }
        }

        Note("RemoveDevice " + device.Name);
        OnCall("RemoveDevice", null, device);
    }

    public OpResult<object?> AllocateProcess(IommuProcess process)
    {
        OpResult refusal = OnCall("AllocateProcess", null, null);
        if (!refusal.IsOk)
        {
            return OpResult<object?>.Refuse(refusal);
        }

        lock (_gate)
        {
            ProcessesAllocated++;
            if (!_processes.TryAdd(process, 1))
            {
                _broken.Add($"AllocateProcess twice for {process}");
            }

            Log.Add("AllocateProcess");
        }

        return OpResult<object?>.Ok(process);
    }

    public void FreeProcess(IommuProcess process, object? driverProcess)
    {
        OnCall("FreeProcess", null, null);
        lock (_gate)
        {
            ProcessesFreed++;
            if (!_processes.Remove(process))
            {
                _broken.Add($"FreeProcess without AllocateProcess for {process}");
            }

            if (!ReferenceEquals(driverProcess, process))
            {
                _broken.Add("FreeProcess with another driver's record");
            }

            // C11: no link may be left.
            if (_attached.Count != 0 && ((ProcessRecord)process).LinkCount != 0)
            {
                _broken.Add($"FreeProcess of {process} with links");
            }

            Log.Add("FreeProcess");
        }
    }

    public OpResult Attach(IommuContext context, Device device, bool first)
    {
        Enter(context.Domain);
        try
        {
            OpResult refusal = OnCall(first ? "AttachFirst" : "Attach", context, device);
            if (!refusal.IsOk)
            {
                return refusal;
            }

            lock (_gate)
            {
                (int, uint) key = (context.Domain.Id, context.Pasid.Value);
                bool known = _attached.TryGetValue(key, out HashSet<Device>? devices);
                if (first == known)
                {
                    _broken.Add($"Attach(first: {first}) while the entry is {(known ? "there" : "not there")} (C3)");
                }

                if (!_processes.ContainsKey(context.Process))
                {
                    _broken.Add("Attach without AllocateProcess");
                }

                if (!known)
                {
                    _attached[key] = devices = [];
                }

                if (!devices!.Add(device))
                {
                    _broken.Add($"Attach of {device.Name} twice");
                }

                AttachSuccesses++;
                Log.Add($"Attach {device.Name} {context.Pasid} first={first}");
            }

            return OpResult.Ok;
        }
        finally
        {
            Leave(context.Domain);
        }
    }

    public OpResult Detach(IommuContext context, Device device, bool last)
    {
        Enter(context.Domain);
        try
        {
            OpResult result = OnCall("Detach", context, device);
            lock (_gate)
            {
                (int, uint) key = (context.Domain.Id, context.Pasid.Value);
                if (!_attached.TryGetValue(key, out HashSet<Device>? devices) || !devices.Remove(device))
                {
                    _broken.Add($"Detach of {device.Name}, which is not attached (B4)");
                }
                else if (last != (devices.Count == 0))
                {
                    _broken.Add($"Detach(last: {last}) with {devices.Count} devices left (C4)");
                }

                if (devices is { Count: 0 })
                {
                    _attached.Remove(key);
                }

                Detaches++;
                Log.Add($"Detach {device.Name} {context.Pasid} last={last}");
            }

            return result;
        }
        finally
        {
            Leave(context.Domain);
        }
    }

    public OpResult Exit(IommuContext context)
    {
        Enter(context.Domain);
        try
        {
            OpResult result = OnCall("Exit", context, null);
            lock (_gate)
            {
                Exits++;
                Log.Add($"Exit {context.Domain.Name} {context.Pasid}");
            }

            return result;
        }
        finally
        {
            Leave(context.Domain);
        }
    }

    public OpResult Invalidate(IommuContext context, IovaRange range)
    {
        Enter(context.Domain);
        try
        {
            Note($"Invalidate {context.Pasid} {range}");
            return OnCall("Invalidate", context, null);
        }
        finally
        {
            Leave(context.Domain);
        }
    }

    public void Dispose() => Note("Dispose");

    private void Note(string line)
    {
        lock (_gate)
        {
            Log.Add(line);
        }
    }

    private void Enter(Domain domain)
    {
        lock (_gate)
        {
            _inside[domain] = _inside.GetValueOrDefault(domain) + 1;
            if (_inside[domain] != 1)
            {
                _broken.Add($"two callbacks at once for domain {domain.Name}");
            }
        }
    }

    private void Leave(Domain domain)
    {
        lock (_gate)
        {
            _inside[domain]--;
        }
    }
}
