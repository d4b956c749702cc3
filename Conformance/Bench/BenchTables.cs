// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

internal static class BenchTables
{
    /// <summary>The tables of a device as the vendor's reader sees them in memory.</summary>
    /// <returns>The tables; ENOENT where there is no reader or it is not known where they begin; what the reader
    /// refuses.</returns>
    public static OpResult<ITableView> Open(CaseContext context, ITestHardware machine, RequesterId device)
    {
        if (context.Subject.Reader is not { } reader)
        {
            return OpResult<ITableView>.Refuse(
                Errno.ENOENT, $"no plug-in exports a reader of '{context.Subject.Metadata.TableFormat}' tables");
        }

        Dictionary<string, ulong> roots = reader.Registers.Where(r => r.Offset is not null).ToDictionary(
            r => r.Name,
            r => r.Bytes == 8 ? machine.Registers.Read64(r.Offset!.Value) : machine.Registers.Read32(r.Offset!.Value));
        foreach ((string name, ulong value) in machine.TableRoots(device))
        {
            roots[name] = value;
        }

        return roots.Count == 0 || reader.Registers.Any(r => r.IsRequired && !roots.ContainsKey(r.Name))
            ? OpResult<ITableView>.Refuse(Errno.ENOENT, "where its tables begin is in no register")
            : reader.Open(machine.Memory, roots);
    }
}
