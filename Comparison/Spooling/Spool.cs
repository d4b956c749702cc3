// SPDX-License-Identifier: Apache-2.0
using Microsoft.Win32.SafeHandles;

namespace PasidFramework.Comparison.Spooling;

/// <summary>
/// Bytes that are appended and read again: in memory while they are few, else in a temporary file, which has no name
/// any more once it is open, so that none is left whatever ends the process.
/// </summary>
/// <remarks>One thread appends and reads until <see cref="Seal"/>; from then on any number may read.</remarks>
internal sealed class Spool : IDisposable
{
    /// <summary>Bytes that stay in memory.</summary>
    public const int MemoryBytes = 1 << 20;

    private const int WriteBytes = 1 << 16;
    private byte[] _buffer = [];
    private int _used;
    private SafeFileHandle? _file;
    private long _written;

    public long Length => _written + _used;

    /// <summary>Bytes that it keeps in memory.</summary>
    public int HeldBytes => _buffer.Length;

    /// <summary>Appends.</summary>
    /// <returns>Where the bytes begin.</returns>
    /// <exception cref="IOException">The temporary file cannot be written.</exception>
    public long Append(ReadOnlySpan<byte> bytes)
    {
        long at = Length;
        while (!bytes.IsEmpty)
        {
            MakeRoom(bytes.Length);
            int count = Math.Min(bytes.Length, _buffer.Length - _used);
            bytes[..count].CopyTo(_buffer.AsSpan(_used));
            _used += count;
            bytes = bytes[count..];
        }

        return at;
    }

    /// <summary>Nothing will be appended any more.</summary>
    /// <exception cref="IOException">The temporary file cannot be written.</exception>
    public void Seal()
    {
        if (_file is not null)
        {
            Write();
            _buffer = [];
        }
    }

    /// <summary>Reads.</summary>
    /// <returns>How many bytes were there, at most the destination's length.</returns>
    public int Read(long offset, Span<byte> destination)
    {
        int count = (int)Math.Min(destination.Length, Length - offset);
        int done = 0;
        while (done < count && offset + done < _written)
        {
            int part = (int)Math.Min(count - done, _written - offset - done);
            int got = RandomAccess.Read(_file!, destination.Slice(done, part), offset + done);
            if (got == 0)
            {
                throw new IOException("a temporary file is shorter than what was written to it");
            }

            done += got;
        }

        if (done < count)
        {
            _buffer.AsSpan((int)(offset + done - _written), count - done).CopyTo(destination[done..]);
        }

        return Math.Max(0, count);
    }

    public void CopyTo(Stream destination)
    {
        var buffer = new byte[WriteBytes];
        for (long at = 0; at < Length;)
        {
            int count = Read(at, buffer);
            destination.Write(buffer, 0, count);
            at += count;
        }
    }

    public void Dispose()
    {
        _file?.Dispose();
        _buffer = [];
        _used = 0;
    }

    private void MakeRoom(int wanted)
    {
        if (_used < _buffer.Length)
        {
            return;
        }

        if (_file is null && _buffer.Length < MemoryBytes)
        {
            long size = Math.Max(_buffer.Length * 2L, Math.Max(4096, (long)_used + wanted));
            Array.Resize(ref _buffer, (int)Math.Min(size, MemoryBytes));
            return;
        }

        if (_file is null)
        {
            _file = Create();
            Write();
            _buffer = new byte[WriteBytes];
            return;
        }

        Write();
    }

    private void Write()
    {
        try
        {
            RandomAccess.Write(_file!, _buffer.AsSpan(0, _used), _written);
        }
        catch (IOException e)
        {
            throw Failed(e);
        }

        _written += _used;
        _used = 0;
    }

    private static SafeFileHandle Create()
    {
        string path = Path.Combine(Path.GetTempPath(), $"pasid-{Environment.ProcessId}-{Path.GetRandomFileName()}");
        try
        {
            SafeFileHandle file = File.OpenHandle(
                path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Delete, FileOptions.DeleteOnClose);
            if (!OperatingSystem.IsWindows())
            {
                File.Delete(path);
            }

            return file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed(e);
        }
    }

    private static IOException Failed(Exception e) =>
        new($"temporary data in {Path.GetTempPath()} (TMPDIR names another folder): {e.Message}", e);
}
