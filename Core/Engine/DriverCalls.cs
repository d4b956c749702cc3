// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace PasidFramework.Engine;

/// <summary>
/// Calls into drivers. A callback must not block or re-enter, and its exception must leave no gate taken and no PASID
/// in doubt: it becomes a refusal with EIO, is counted and reported.
/// </summary>
internal sealed class DriverCalls(ICoreObserver? observer)
{
    private const string Refusal = "A plug-in's exception becomes a refusal, is counted and reported.";
    private int _failures;

    /// <summary>Exceptions that drivers threw so far.</summary>
    public int Failures => Volatile.Read(ref _failures);

    /// <summary>The domain's gate is held.</summary>
    [SuppressMessage("Design", "CA1031", Justification = Refusal)]
    public OpResult Attach(LinkRecord link, DeviceRecord device, bool first)
    {
        // This and the next one are written out: every bind goes through them.
        string? outer = AtomicContext.Enter(nameof(IIommuUnit.Attach));
        try
        {
            return device.Instance.Unit.Attach(link, device, first);
        }
        catch (Exception e)
        {
            return Threw(device.Instance, nameof(IIommuUnit.Attach), e);
        }
        finally
        {
            AtomicContext.Leave(outer);
        }
    }

    /// <summary>The domain's gate is held.</summary>
    [SuppressMessage("Design", "CA1031", Justification = Refusal)]
    public OpResult Detach(LinkRecord link, DeviceRecord device, bool last)
    {
        string? outer = AtomicContext.Enter(nameof(IIommuUnit.Detach));
        try
        {
            return device.Instance.Unit.Detach(link, device, last);
        }
        catch (Exception e)
        {
            return Threw(device.Instance, nameof(IIommuUnit.Detach), e);
        }
        finally
        {
            AtomicContext.Leave(outer);
        }
    }

    public OpResult Exit(LinkRecord link) => InGate(
        link.Domain, nameof(IIommuUnit.Exit), link, static (unit, made) => unit.Exit(made));

    public OpResult Invalidate(LinkRecord link, IovaRange range) => InGate(
        link.Domain, nameof(IIommuUnit.Invalidate), (link, range),
        static (unit, made) => unit.Invalidate(made.link, made.range));

    public OpResult AddDevice(DeviceRecord device) => InGate(
        device.Domain, nameof(IIommuUnit.AddDevice), device, static (unit, made) => unit.AddDevice(made));

    public OpResult RemoveDevice(DeviceRecord device) => InGate(
        device.Domain, nameof(IIommuUnit.RemoveDevice), device, static (unit, made) =>
        {
            unit.RemoveDevice(made);
            return OpResult.Ok;
        });

    public void FreeProcess(IommuInstance instance, ProcessRecord process, object? record) => Guarded(
        instance, nameof(IIommuUnit.FreeProcess), (process, record), static (unit, made) =>
        {
            unit.FreeProcess(made.process, made.record);
            return OpResult.Ok;
        });

    /// <summary>The one call that may block; the process's gate is held and no domain's.</summary>
    [SuppressMessage("Design", "CA1031", Justification = Refusal)]
    public OpResult<object?> AllocateProcess(IommuInstance instance, ProcessRecord process)
    {
        try
        {
            return instance.Unit.AllocateProcess(process);
        }
        catch (Exception e)
        {
            return OpResult<object?>.Refuse(Threw(instance, nameof(IIommuUnit.AllocateProcess), e));
        }
    }

    private OpResult InGate<T>(DomainRecord domain, string callback, T argument, Func<IIommuUnit, T, OpResult> call)
    {
        domain.Gate.Enter();
        try
        {
            return Guarded(domain.Instance, callback, argument, call);
        }
        finally
        {
            domain.Gate.Exit();
        }
    }

    [SuppressMessage("Design", "CA1031", Justification = Refusal)]
    private OpResult Guarded<T>(IommuInstance instance, string callback, T argument, Func<IIommuUnit, T, OpResult> call)
    {
        string? outer = AtomicContext.Enter(callback);
        try
        {
            return call(instance.Unit, argument);
        }
        catch (Exception e)
        {
            return Threw(instance, callback, e);
        }
        finally
        {
            AtomicContext.Leave(outer);
        }
    }

    private OpResult Threw(IommuInstance instance, string callback, Exception e)
    {
        Interlocked.Increment(ref _failures);
        observer?.DriverThrew(instance, callback, e);
        return OpResult.Refuse(
            Errno.EIO, $"driver {instance.DriverName} threw {e.GetType().Name} in {callback}: {e.Message}");
    }
}
